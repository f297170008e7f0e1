"""Weights are counted before they are made. Their distribution: tests/nn/test_layers.py."""

import pytest

from tinybar import nn
from tinybar.nn.initial import at_most


def test_no_more_weights_are_made_than_there_may_be():
    with at_most(30):
        nn.Linear(4, 5)
        nn.Linear(2, 5)
        with pytest.raises(ValueError, match=r"weights of shape \(1, 1\) are more than there are"):
            nn.Linear(1, 1)
    with at_most(4), at_most(100):
        nn.Linear(5, 5)
    nn.Linear(100, 100)  # nothing is left of the limit


def test_the_limit_ends_with_an_error():
    with pytest.raises(KeyError), at_most(1):
        raise KeyError
    nn.Linear(5, 5)
