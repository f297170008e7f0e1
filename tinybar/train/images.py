"""The images of a run as the network reads them, and its accuracy on them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import nn
from ..autograd import Tensor
from ..data import Dataset, Normalised, in_order
from ..nn import Module
from ..runtime.arrays import keep_on_device, to_device


@dataclass
class Images:
    """The splits of a data set as the network reads them: bytes, on the device where they fit.

    `data.Normalised` makes float32 (B, H, W, C) of them, minibatch by minibatch.
    """

    dataset: Dataset
    train: Normalised = field(init=False)
    test: Normalised = field(init=False)
    val: Normalised | None = field(init=False)

    def __post_init__(self):
        splits = self.dataset.train, self.dataset.test, self.dataset.val
        self.train, self.test, self.val = (
            None if split is None else self.dataset.normalised(keep_on_device(split.images))
            for split in splits
        )

    def test_accuracy(self, net: Module) -> float:
        """Accuracy on the test images."""
        return accuracy(net, self.test, self.dataset.test.labels)

    def epoch_accuracies(self, net: Module) -> dict:
        """The accuracies that are logged after an epoch.

        Where images are held out for validation, these are used and the test images are not.
        """
        if self.val is None:
            return {"accuracy_test": self.test_accuracy(net)}
        held_out = accuracy(net, self.val, self.dataset.val.labels)
        return {"accuracy_val": held_out, "accuracy_test": None}


def accuracy(net: Module, images, labels: np.ndarray, batch_size: int = 256) -> float:
    """Share of the images that the network, in evaluation mode, classifies correctly.

    images: as `in_order` takes them.
    """
    was_training = net.training
    net.eval()
    correct = 0.0
    for x, y in in_order(images, labels, batch_size):
        correct += nn.accuracy(nn.predict(net, Tensor(to_device(x))), y) * len(y)
    net.train(was_training)
    return correct / len(labels)
