"""Predictions: the network's logits, part by part."""

import numpy as np
import pytest

from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.nn import inference


@pytest.fixture
def model():
    return nn.build("wrn-10-1", 10, (8, 8, 1)).eval()


def images(n):
    return np.random.default_rng(n).standard_normal((n, 8, 8, 1)).astype("f4")


@pytest.mark.parametrize("n", [1, inference.PART, 2 * inference.PART, 3 * inference.PART + 5])
def test_parts_are_the_whole(model, n):
    x = images(n)
    logits = nn.predict(model, Tensor(x))
    np.testing.assert_allclose(logits.data, model(Tensor(x)).data, rtol=1e-5, atol=1e-5)


def test_nothing_is_recorded(model):
    assert not nn.predict(model, Tensor(images(2 * inference.PART))).requires_grad
    assert model(Tensor(images(2))).requires_grad


def test_not_in_training_mode(model):
    with pytest.raises(ValueError, match="evaluation mode"):
        nn.predict(model.train(), Tensor(images(2)))
