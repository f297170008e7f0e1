"""The data loss of a stage."""

import numpy as np
import pytest

from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.train.data_loss import Distillation, Minibatch, answers, cross_entropy

RNG = np.random.default_rng


@pytest.fixture
def teacher():
    return nn.build("wrn-10-1", 3, (4, 4, 1)).eval()


def minibatch(images, index):
    return Minibatch(Tensor(images[index]), np.array([0, 2, 1, 1]), np.array(index))


def test_a_teacher_that_answers_once_says_what_it_says_for_every_minibatch(teacher):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    batch, logits = minibatch(images, [7, 0, 3, 4]), Tensor(RNG(1).standard_normal((4, 3)))
    once = Distillation(teacher, images, 0.9, 4.0)
    anew = Distillation(teacher, None, 0.9, 4.0)
    expected = nn.distillation_loss(logits, teacher(batch.x), batch.labels, 0.9, 4.0).data
    np.testing.assert_allclose(once(logits, batch).data, expected, rtol=1e-5)
    np.testing.assert_allclose(anew(logits, batch).data, expected, rtol=1e-5)


def test_where_images_change_the_teacher_answers_for_what_it_is_shown(teacher):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    logits = Tensor(RNG(1).standard_normal((4, 3)))
    batch = minibatch(images, [7, 0, 3, 4])
    mirrored = batch._replace(x=Tensor(batch.x.data[:, :, ::-1]))
    anew = Distillation(teacher, None, 0.9, 4.0)
    assert anew(logits, batch).data != anew(logits, mirrored).data


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_answers_are_in_the_order_of_the_images(teacher, batch_size):
    images = RNG(0).standard_normal((9, 4, 4, 1)).astype("f4")
    expected = teacher(Tensor(images)).data
    np.testing.assert_allclose(answers(teacher, images, batch_size), expected, rtol=1e-4, atol=1e-5)


def test_from_the_labels_alone():
    logits = Tensor(np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    loss = cross_entropy(logits, Minibatch(None, np.array([0, 1]), None))
    np.testing.assert_allclose(loss.data, -(np.log(0.5) + np.log(0.8)) / 2)
