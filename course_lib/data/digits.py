"""Handwritten digits, 8x8 pixels of 17 grey levels: small enough to train on live, in seconds.

They ship with scikit-learn (the test part of UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998, CC BY 4.0), so nothing is committed here.
"""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from course_lib.core.checks import one_of

SIDE = 8  # pixels
TOP = 16  # a pixel counts the inked dots of a 4x4 block; `to_unit(images, TOP)` gives [-1, 1]

Pictures = UInt8[Tensor, "n 1 8 8"]
Labels = Int64[Tensor, " n"]


def load_digits(split: str = "train") -> tuple[Pictures, Labels]:
    """Return pictures with levels 0 to 16 and labels 0 to 9.

    split   "train" 1,352, "test" 445 (every fourth of each digit), "all" 1,797

    Raises ValueError for another split.
    """
    one_of(split, ("train", "test", "all"), "split")
    import sklearn.datasets  # here, because it takes a second that most readers need not spend

    table = sklearn.datasets.load_digits()
    images = torch.from_numpy(table.images).to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(table.target).long()
    if split == "all":
        return images, labels
    is_test = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        is_test[(labels == digit).nonzero()[3::4, 0]] = True
    rows = is_test if split == "test" else ~is_test
    return images[rows], labels[rows]
