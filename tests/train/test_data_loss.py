"""The data loss: cross-entropy and distillation."""

import numpy as np
import pytest

from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.train.data_loss import Distillation, Minibatch, cross_entropy, logits_of

RNG = np.random.default_rng


@pytest.fixture
def teacher():
    return nn.build("wrn-10-1", 3, (4, 4, 1)).eval()


def minibatch(images, index):
    return Minibatch(Tensor(images[index]), np.array([0, 2, 1, 1]), np.array(index))


def test_cached_teacher_logits_are_those_of_every_minibatch(teacher):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    batch, logits = minibatch(images, [7, 0, 3, 4]), Tensor(RNG(1).standard_normal((4, 3)))
    once = Distillation(teacher, images, 0.9, 4.0)
    anew = Distillation(teacher, None, 0.9, 4.0)
    expected = nn.distillation_loss(logits, teacher(batch.x), batch.labels, 0.9, 4.0).data
    np.testing.assert_allclose(once(logits, batch).data, expected, rtol=1e-5)
    np.testing.assert_allclose(anew(logits, batch).data, expected, rtol=1e-5)


def test_augmented_images_get_logits_of_their_own(teacher):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    logits = Tensor(RNG(1).standard_normal((4, 3)))
    batch = minibatch(images, [7, 0, 3, 4])
    mirrored = batch._replace(x=Tensor(batch.x.data[:, :, ::-1]))
    anew = Distillation(teacher, None, 0.9, 4.0)
    assert anew(logits, batch).data != anew(logits, mirrored).data


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_logits_are_in_the_order_of_the_images(teacher, batch_size):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    expected = teacher(Tensor(images)).data
    np.testing.assert_allclose(
        logits_of(teacher, images, batch_size), expected, rtol=1e-4, atol=1e-5
    )


def test_cross_entropy_with_the_labels():
    logits = Tensor(np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    loss = cross_entropy(logits, Minibatch(None, np.array([0, 1]), None))
    np.testing.assert_allclose(loss.data, -(np.log(0.5) + np.log(0.8)) / 2)
