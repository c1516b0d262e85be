"""The 8x8 digits: a fixed, stratified split of scikit-learn's table, in whole levels."""

import pytest
import sklearn.datasets
import torch

from course_lib.core.tensors import to_pixels, to_unit
from course_lib.data.digits import TOP, load_digits


def test_all_is_the_table_of_scikit_learn():
    images, labels = load_digits("all")
    table = sklearn.datasets.load_digits()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == torch.uint8
    assert torch.equal(images.flatten(1).double(), torch.from_numpy(table.data))
    assert torch.equal(labels, torch.from_numpy(table.target))
    assert images.max() == TOP


def test_the_split_is_a_partition_with_the_same_share_of_each_digit():
    (train, train_labels), (test, test_labels) = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (1352, 445)
    every = {image.numpy().tobytes() for image in load_digits("all")[0]}
    parts = [{image.numpy().tobytes() for image in part} for part in (train, test)]
    assert parts[0] | parts[1] == every and not parts[0] & parts[1]
    share = test_labels.bincount() / (train_labels.bincount() + test_labels.bincount())
    assert ((share > 0.24) & (share <= 0.25)).all()


def test_levels_survive_the_way_to_the_unit_range_and_back():
    images, _ = load_digits("test")
    x = to_unit(images, TOP)
    assert x.min() == -1 and x.max() == 1
    assert torch.equal(to_pixels(x, TOP), images)


def test_an_unknown_split_lists_the_known_ones():
    with pytest.raises(ValueError, match="train, test, all"):
        load_digits("validation")
