"""What a network says of images, counted by hand."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tinybar.autograd import Tensor
from tinybar.data import Dataset, Split
from tinybar.nn import Module
from tinybar.report.pages.judged import data_uri, judge


class Brightness(Module):
    """Logits that are large for the class whose number is the first pixel."""

    image_shape = (2, 2, 1)

    def forward(self, x):
        said = np.round(x.data[:, 0, 0, 0] * 255).astype(int)
        return Tensor(3 * np.eye(3, dtype=np.float32)[said])


def judged_as(said, labels):
    images = np.zeros((len(said), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = said
    split = Split(images, np.array(labels))
    known = {"classes": ["a", "b", "c"], "mean": [0.0], "std": [1.0]}
    train = Split(np.zeros((3, 2, 2, 1), np.uint8), np.arange(3))
    return judge(Brightness().eval(), known, Dataset("x", ("a", "b", "c"), train, split))


def test_confusion_and_errors():
    judged = judged_as([0, 1, 1, 2], [0, 1, 2, 2])
    assert judged.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert (judged.images, judged.errors, judged.accuracy) == (4, 1, 0.75)
    assert judged.confused == [(1, "c", "b")]
    (wrong,) = judged.wrong
    assert (wrong.label, wrong.said) == ("c", "b")
    assert wrong.confidence == pytest.approx(np.exp(3) / (np.exp(3) + 2))
    (only,) = judged.bins
    assert only.accuracy == 0.75


def test_a_network_that_is_never_wrong():
    judged = judged_as([0, 1, 2], [0, 1, 2])
    assert (judged.wrong, judged.confused, judged.errors) == ([], [], 0)


def test_at_most_24_images_are_shown():
    assert len(judged_as([0] * 40, [1] * 40).wrong) == 24


def test_a_data_uri_holds_the_image():
    image = np.array([[[0], [16]], [[8], [4]]], np.uint8)
    content = base64.b64decode(data_uri(image, 16.0).partition(",")[2])
    assert np.asarray(Image.open(io.BytesIO(content))).tolist() == [[0, 255], [128, 64]]
    large = np.zeros((300, 200, 3), np.uint8)
    content = base64.b64decode(data_uri(large, 255.0).partition(",")[2])
    assert max(Image.open(io.BytesIO(content)).size) == 128
