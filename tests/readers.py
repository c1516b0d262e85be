"""What tests of networks that read captions share: a text, its swap, and layers that are awake."""

import torch
from torch import nn

from course_lib.models.tokenizer import END, START

ONE = torch.tensor([[START, 5, 6, 7, 8, 9, END, 0, 0]])
SWAPPED = torch.tensor([[START, 8, 9, 7, 5, 6, END, 0, 0]])


def awake(net: nn.Module) -> nn.Module:
    """As after some training: no layer is zero."""
    torch.manual_seed(1)
    for weight in net.parameters():
        if weight.ndim > 1 and not weight.any():
            nn.init.normal_(weight, std=0.1)
    return net.eval()
