"""What a network says of images in files: the likeliest classes, and the share that is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..data.files.folders import ImageFile
from .predictor import Predictor, probabilities


class Answer(NamedTuple):
    """path: of the image. label: its class, None where its folder is not named for one.

    likeliest: classes and their probabilities, the likeliest first.
    """

    path: str
    label: str | None
    likeliest: list[tuple[str, float]]


def answers(predictor: Predictor, files: list[ImageFile], top: int) -> Iterator[Answer]:
    """An answer for each file, in their order, with the `top` likeliest classes."""
    remaining, classes = iter(files), predictor.classes
    for logits in predictor.logits_of_files(files):
        # By the logits: two that differ may have equal probabilities.
        order = np.argsort(-logits, axis=1, kind="stable")[:, :top]
        for chosen, shares, file in zip(order, probabilities(logits), remaining, strict=False):
            label = file.class_name if file.class_name in classes else None
            likeliest = [(classes[k], float(shares[k])) for k in chosen]
            yield Answer(file.path, label, likeliest)


def share_correct(found: Sequence[Answer]) -> float | None:
    """The accuracy; None where the class of an image is not known."""
    if any(answer.label is None for answer in found):
        return None
    return sum(answer.label == answer.likeliest[0][0] for answer in found) / len(found)
