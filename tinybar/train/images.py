"""The images of a run as the network reads them, and its accuracy on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import nn
from ..autograd import Tensor
from ..data import Dataset, Normalised, Split, in_order
from ..nn import Module
from ..pruning import gates_of
from ..runtime import ranks
from ..runtime.arrays import array_module, keep_on_device, to_device

STATISTICS = 1024  # training images at most, for the statistics that a gated network is judged with


@dataclass
class Images:
    """The splits of a data set as the network reads them: bytes, on the device where they fit.

    `data.Normalised` makes float32 (B, H, W, C) of them, minibatch by minibatch.
    """

    dataset: Dataset
    train: Normalised = field(init=False)
    test: Normalised = field(init=False)
    val: Normalised | None = field(init=False)

    def __post_init__(self) -> None:
        self.train, self.test = (self._read(s) for s in (self.dataset.train, self.dataset.test))
        self.val = None if self.dataset.val is None else self._read(self.dataset.val)

    def _read(self, split: Split) -> Normalised:
        return self.dataset.normalised(keep_on_device(split.images))

    def test_accuracy(self, net: Module) -> float:
        """Accuracy on the test images."""
        return accuracy(net, self.test, self.dataset.test.labels)

    def epoch_accuracies(self, net: Module) -> dict[str, Any]:
        """The accuracies that are logged after an epoch.

        Where images are held out for validation, these are used and the test images are not.
        A network with gates has the statistics of its gates at their mean noise.
        """
        with self.own_statistics(net) if gates_of(net) else nullcontext():
            val = self.dataset.val
            if self.val is None or val is None:
                return {"accuracy_test": self.test_accuracy(net)}
            held_out = accuracy(net, self.val, val.labels)
            return {"accuracy_val": held_out, "accuracy_test": None}

    def own_statistics(self, net: Module) -> AbstractContextManager[None]:
        """A context in which batch norm has the statistics of this network on training images."""
        return nn.statistics_of(net, self.for_statistics())

    def for_statistics(self, batch_size: int = 256) -> Iterator[Tensor]:
        """Some training images, not augmented; the same at every call."""
        n = len(self.train)
        chosen = np.random.default_rng(0).permutation(n)[:STATISTICS]
        for part in np.array_split(chosen, -(-len(chosen) // batch_size)):
            yield Tensor(to_device(self.train[array_module(self.train.images).asarray(part)]))


def accuracy(net: Module, images: Any, labels: np.ndarray, batch_size: int = 256) -> float:
    """Share of the images that the network, in evaluation mode, classifies correctly.

    images: as `in_order` takes them. Where several processes train together they take turns at the
    minibatches, and each must call this.
    """
    was_training = net.training
    net.eval()
    correct = np.zeros(1)
    for x, y in in_order(images, labels, batch_size, ranks.rank(), ranks.size()):
        correct += nn.accuracy(nn.predict(net, Tensor(to_device(x))), y) * len(y)
    ranks.add(correct)
    net.train(was_training)
    return float(correct[0]) / len(labels)
