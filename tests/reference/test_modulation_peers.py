"""AdaGN and adaLN-zero against `diffusers`, with the same weights."""

import pytest
import torch
from torch.nn import functional as F

from course_lib.nn.embeddings import sinusoidal
from course_lib.nn.modulation import ada_gn, ada_ln_zero

normalization = pytest.importorskip("diffusers.models.normalization")
embeddings = pytest.importorskip("diffusers.models.embeddings")


def test_adagn():
    torch.manual_seed(0)
    theirs = normalization.AdaGroupNorm(10, 8, num_groups=2)
    ours = ada_gn(8, 10, groups=2)
    with torch.no_grad():  # theirs reads scale, then shift
        ours.read.weight.copy_(theirs.linear.weight.roll(8, 0))
        ours.read.bias.copy_(theirs.linear.bias.roll(8, 0))
    h, vector = torch.randn(3, 8, 5, 5), torch.randn(3, 10)
    torch.testing.assert_close(ours(h, vector)[0], theirs(h, vector))


def test_adaln_zero():
    """The first half of their layer: the second serves the block's MLP."""
    torch.manual_seed(0)
    theirs = normalization.AdaLayerNormZero(8)
    ours = ada_ln_zero(8, 8)
    with torch.no_grad():  # shift, scale, gate, in our order
        ours.read.weight.copy_(theirs.linear.weight[:24])
        ours.read.bias.copy_(theirs.linear.bias[:24])
    h, vector = torch.randn(3, 8, 4, 4), torch.randn(3, 8)
    tokens, gate, *_ = theirs(h.flatten(2).transpose(1, 2), emb=vector)
    found, our_gate = ours(h, F.silu(vector))
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens)
    torch.testing.assert_close(our_gate[:, :, 0, 0], gate)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_sinusoids(shift):
    t = torch.tensor([0.0, 1, 37, 999])
    theirs = embeddings.get_timestep_embedding(t, 32, downscale_freq_shift=shift)
    torch.testing.assert_close(sinusoidal(t, 32, shift=shift), theirs, atol=1e-4, rtol=0)
