"""A teacher from a file: its weights, how it reads images, and its head for other classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .. import nn
from ..autograd import Tensor
from ..data import Dataset, in_order
from ..nn import Module, ResidualNetwork
from ..nn.discriminants import discriminants
from ..nn.pretrained import load_weights
from ..runtime import ranks
from ..runtime.arrays import to_device, to_numpy
from .config import Config
from .folder import RunFolder
from .images import Images
from .parallel import as_first


class Start(NamedTuple):
    """A teacher from the file `path`, as it begins.

    net: the full network, with the weights of the file on rank 0. other_head: what the file's head
    is for, if a new one takes its place; then the teacher is trained. statistics: (mean, std) of
    the images that it reads, or None if the file does not say.
    """

    path: Path
    net: ResidualNetwork
    other_head: str | None
    statistics: Any

    def dataset(self, dataset: Dataset) -> Dataset:
        """The data set, normalised as the teacher's images were."""
        return dataset if self.statistics is None else replace(dataset, statistics=self.statistics)

    def told(self, accuracy: float, dataset: Dataset) -> str:
        """The teacher in a line, with its accuracy before anything is trained."""
        about = f"{self.path}: test accuracy {100 * accuracy:.2f} %"
        if self.other_head is not None:
            about += (
                f" with a new head, fitted to its features: its own is for {self.other_head}, "
                f"{dataset.name} has {dataset.num_classes} classes"
            )
        whose = "of the training images, as the file has none"
        if self.statistics is not None:
            whose = " and ".join(" ".join(f"{x:.4g}" for x in row) for row in self.statistics)
        return f"{about}; mean and std {whose}"


def start_of(config: Config, dataset: Dataset, folder: RunFolder | None) -> Start | None:
    """The teacher of `config.teacher`, or the run's copy of it; None if there is none to be read.

    Each rank must ask; rank 0 reads the file. Raises FileError as `load_weights`.
    """
    if config.teacher is None:
        return None
    net = nn.build(config.model, dataset.num_classes, dataset.image_shape).eval()
    path, told = Path(config.teacher), b""
    if ranks.rank() == 0:
        is_copy = folder is not None and folder.teacher.exists()
        copy = folder.teacher if folder is not None and is_copy else path
        weights = load_weights(net, copy, dataset.classes)
        other = weights.other_head
        if folder is not None and is_copy and folder.stage_path("teacher").exists():
            other = "another head"
        told = json.dumps([other, weights.statistics]).encode()
    return Start(path, net, *json.loads(ranks.broadcast_bytes(told)))


def fit_head(net: ResidualNetwork, images: Images) -> None:
    """Give the network, in evaluation mode, a linear layer made for its features of the images.

    Each rank does the same, and gets what rank 0 has found.
    """
    features: Any = _Features()
    linear, net.linear = net.linear, features
    batches = in_order(images.train, images.dataset.train.labels, 256)
    pairs = ((to_numpy(nn.predict(net, Tensor(to_device(x))).data), y) for x, y in batches)
    weight, bias = discriminants(pairs, net.num_classes)
    net.linear = linear
    linear.load_state_dict({"weight": weight, "bias": bias})
    as_first(linear)


class _Features(Module):
    """Stands in the place of a linear layer: what the layer reads is the output."""

    def forward(self, x):
        return x
