"""Steps of pruning on the digits, on all ranks that mpiexec started; each writes what it has seen.

    mpiexec -n 3 python on_ranks.py FOLDER --dtype float64

FOLDER/RANK.npz has V, b and f of each iteration, the state of the network at the end, the images
that the rank worked on, in order, and their pixels; the means of the last epoch, the accuracy on
test images; and what was added over all ranks, in bytes and calls.
"""

import argparse
import dataclasses
from contextlib import suppress
from pathlib import Path

import numpy as np

from tinybar import nn, pruning
from tinybar.data import Augmentation
from tinybar.nn import HardConcrete
from tinybar.pruning.methods.bar import BudgetAwarePenalty
from tinybar.runtime import random, ranks
from tinybar.train.config import Config
from tinybar.train.data_loss import cross_entropy
from tinybar.train.images import Images
from tinybar.train.loop import Progress, Stage, optimizer_of, train_epoch


class Enough(Exception):
    """The steps that were asked for are made."""


class Seen:
    """A penalty and a data loss that keep what they were called with."""

    def __init__(self, penalty):
        self.penalty, self.terms, self.batches = penalty, [], []

    def term(self, iteration):
        """The penalty."""
        self.terms.append(self.penalty(iteration))
        return self.terms[-1]

    def loss(self, logits, batch):
        """The data loss."""
        self.batches.append(batch)
        return cross_entropy(logits, batch)


class Counting:
    """MPI's communicator of all ranks, which counts the sums over it."""

    def __init__(self, world):
        self.world, self.bytes, self.calls = world, 0, 0

    def __getattr__(self, name):
        return getattr(self.world, name)

    def Allreduce(self, send, buffer, *operation):
        """A sum, unless another operation is named."""
        if not operation:
            self.bytes, self.calls = self.bytes + buffer.nbytes, self.calls + 1
        self.world.Allreduce(send, buffer, *operation)


def main(arguments):
    """Train, and write."""
    ranks.start()
    world = ranks._world = ranks._world and Counting(ranks._world)
    config = Config(model="wrn-10-1", batch_size=arguments.batch, lr=arguments.lr)
    ranks.share_out(config.batch_size)
    shifts = Augmentation(pad=1, flip=True) if arguments.augment else Augmentation()
    images = Images(dataclasses.replace(config.dataset(), augmentation=shifts))
    random.seed(0)
    shape = images.dataset.num_classes, images.dataset.image_shape
    net = nn.build(config.model, *shape, HardConcrete).astype(arguments.dtype)
    if arguments.skip:
        nn.skip_closed(net)
    seen = Seen(BudgetAwarePenalty(net, pruning.COSTS["volume"], 1300, arguments.of))
    optimizer = optimizer_of(net, config, arguments.of, seen.penalty)
    stage = Stage("prune", 9, net, optimizer, seen.loss, lambda epoch: config.lr, seen.term)

    def after_step(stage, progress):
        if len(seen.batches) == arguments.steps:
            raise Enough

    with suppress(Enough):
        for epoch in range(stage.epochs):
            progress = Progress(epoch)
            train_epoch(stage, images, config.batch_size, progress, after_step)
    added = np.array((world.bytes, world.calls) if world else (0, 0))
    means = progress.sums.of_all_ranks().means()
    np.savez(
        Path(arguments.folder) / f"{ranks.rank()}.npz",
        **net.state_dict(),
        terms=np.array([(term.cost, term.b, term.f) for term in seen.terms]),
        index=np.concatenate([batch.index for batch in seen.batches]),
        pixels=np.concatenate([batch.x.data for batch in seen.batches]),
        means=np.array(list(means.values())),
        accuracy=np.array(images.test_accuracy(net)),
        added=added,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--of", type=int, default=200, help="iterations of the schedule")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--skip", action="store_true")
    main(parser.parse_args())
