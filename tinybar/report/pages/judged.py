"""What the pruned network says of the test images: confusions, errors, calibration."""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ...autograd import Tensor, softmax
from ...data import Dataset, in_order
from ...nn import predict
from ...nn.networks.residual import ResidualNetwork
from ...runtime.arrays import to_device, to_numpy
from ...train.evaluate import as_read_by
from .statistics import Bin, reliability

SHOWN = 24  # wrongly classified images
SIDE = 128  # pixels of the larger side of an image on the page
BATCH = 256


class Wrong(NamedTuple):
    """An image that was classified wrongly. image: a data URI. Classes by name."""

    image: str
    label: str
    said: str
    confidence: float


class Judged(NamedTuple):
    """confusion: (K, K) counts, a row for each class that an image has, a column for each answer.

    wrong: the most confident errors first. errors: how many there are. bins: for calibration.
    """

    classes: list[str]
    images: int
    confusion: np.ndarray
    errors: int
    wrong: list[Wrong]
    bins: list[Bin]

    @property
    def accuracy(self) -> float:
        """The share of images on the diagonal."""
        return float(np.trace(self.confusion) / self.images)

    @property
    def confused(self) -> list[tuple[int, str, str]]:
        """(how often, class, answer), the most frequent first: at most twelve."""
        off = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-off, axis=None, kind="stable")[:12]
        pairs = [divmod(int(k), len(self.classes)) for k in order]
        return [(int(off[i, j]), self.classes[i], self.classes[j]) for i, j in pairs if off[i, j]]


def judge(model: ResidualNetwork, about: dict[str, Any], dataset: Dataset) -> Judged:
    """about: what the network's file says of its data. ValueError if the data do not fit."""
    images, labels = as_read_by(model, about, dataset)
    batches = (to_device(x) for x, _ in in_order(images, labels, BATCH))
    logits = np.concatenate([to_numpy(predict(model, Tensor(x)).data) for x in batches])
    probabilities = softmax(Tensor(logits.astype(np.float64))).data
    said, confidence = probabilities.argmax(1), probabilities.max(1)
    classes = about["classes"]
    confusion = np.zeros((len(classes),) * 2, int)
    np.add.at(confusion, (labels, said), 1)
    errors = np.flatnonzero(said != labels)
    chosen = errors[np.argsort(-confidence[errors], kind="stable")][:SHOWN]
    wrong = [
        Wrong(
            data_uri(dataset.test.images[k], dataset.scale),
            classes[labels[k]], classes[said[k]], float(confidence[k]),
        )
        for k in chosen
    ]  # fmt: skip
    bins = reliability(confidence, said == labels)
    return Judged(classes, len(labels), confusion, len(errors), wrong, bins)


def data_uri(image: np.ndarray, scale: float) -> str:
    """A PNG. image: (H, W, C) uint8 with values up to `scale`; grey unless C is 3."""
    pixels = np.round(image * (255 / scale)).astype(np.uint8)
    picture = Image.fromarray(pixels if image.shape[2] == 3 else pixels[..., 0])
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
