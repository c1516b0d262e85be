"""LPIPS as shipped gives the distances of the authors' package, and knows what it cannot see."""

import pytest
import torch
from torch.nn import functional as F

from course_lib.data.scenes import draw_scenes
from course_lib.nn.perceptual import LPIPS
from course_lib.weights import load_weights

# lpips 0.1.4 (net="alex") on the scenes below, its trunk filled with the weights that
# tools/convert_lpips.py reads; ours in full precision differ from these by 6e-8 at most.
RECORDED = {
    (64, "next"): [0.53904, 0.58659, 0.73349, 0.52665, 0.69201, 0.54158, 0.49675, 0.36529],
    (64, "shift"): [0.00582, 0.00935, 0.01127, 0.01084, 0.01194, 0.00545, 0.0140, 0.01054],
    (64, "blur"): [0.02068, 0.06827, 0.03733, 0.03242, 0.06019, 0.01124, 0.03941, 0.06536],
    (33, "next"): [0.27705, 0.32656, 0.41766, 0.23961, 0.48307, 0.40394, 0.34686, 0.16827],
    (33, "shift"): [0.00752, 0.00561, 0.00708, 0.00564, 0.00835, 0.00594, 0.0067, 0.00667],
    (33, "blur"): [0.02343, 0.02118, 0.02296, 0.02295, 0.02463, 0.00603, 0.02343, 0.03693],
}


@pytest.fixture(scope="module")
def lpips() -> LPIPS:
    return load_weights("lpips", LPIPS())


def changed(x: torch.Tensor, how: str) -> torch.Tensor:
    if how == "next":
        return x.roll(1, 0)
    if how == "shift":
        return x.roll(1, 3)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


@pytest.mark.parametrize(("size", "how"), RECORDED)
def test_distances_are_those_of_the_authors_package(lpips: LPIPS, size: int, how: str):
    x = draw_scenes(8, size=size)[0] / 127.5 - 1
    expected = torch.tensor(RECORDED[size, how])
    # Weights in 8 bits cost up to 2 % of a distance.
    assert torch.allclose(lpips(x, changed(x, how)), expected, rtol=0.03, atol=2e-4)


def test_it_is_a_distance(lpips: LPIPS):
    x = draw_scenes(4, size=32)[0] / 127.5 - 1
    assert torch.equal(lpips(x, x), torch.zeros(4))
    assert torch.allclose(lpips(x, x.roll(1, 0)), lpips(x.roll(1, 0), x))
    assert all((head >= 0).all() for head in lpips.heads)


def test_blur_looks_worse_than_a_shift_by_one_pixel(lpips: LPIPS):
    x = draw_scenes(16, size=64)[0] / 127.5 - 1
    assert lpips(x, changed(x, "blur")).mean() > 2 * lpips(x, changed(x, "shift")).mean()


def test_a_gradient_reaches_the_picture_and_not_the_ruler(lpips: LPIPS):
    x = (draw_scenes(2, size=32)[0] / 127.5 - 1).requires_grad_()
    lpips(x, x.detach().roll(1, 0)).sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert not any(p.requires_grad for p in lpips.parameters())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((1, 3, 32, 32), (2, 3, 32, 32), "equal shapes"),
        ((1, 3, 16, 64), (1, 3, 16, 64), "32 pixels a side"),
    ],
)
def test_what_it_cannot_compare_is_refused(lpips: LPIPS, first, second, message):
    with pytest.raises(ValueError, match=message):
        lpips(torch.zeros(first), torch.zeros(second))
