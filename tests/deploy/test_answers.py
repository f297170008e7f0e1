"""Answers: the likeliest classes, and the share that is right."""

import numpy as np
import pytest

from tinybar.data.files.folders import ImageFile
from tinybar.deploy.answers import Answer, answers, share_correct


class Sure:
    """A predictor of two images, so sure that the probabilities of two classes are equal."""

    classes = ("cat", "dog", "owl")

    def logits_of_files(self, files):
        yield np.float32([[0, 9, 9.000001]])
        yield np.float32([[5, -200, -100]])


def test_classes_are_ranked_by_their_logits():
    files = [ImageFile("", name, f"{name}.png", 1, 0) for name in ("owl", "house")]
    first, second = answers(Sure(), files, 2)
    assert [name for name, _ in first.likeliest] == ["owl", "dog"]
    assert second == Answer("house.png", None, [("cat", 1.0), ("owl", pytest.approx(0))])
    assert first.label == "owl"


def test_accuracy_needs_the_class_of_every_image():
    right, wrong = (Answer("a", name, [("cat", 1.0)]) for name in ("cat", "dog"))
    assert share_correct([right, wrong, wrong, wrong]) == 0.25
    assert share_correct([right, Answer("b", None, [("cat", 1.0)])]) is None
