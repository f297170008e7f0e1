"""Errors to plant in the methods of halving rounds, for `test_mutations.py`."""

import numpy as np

from tinybar import pruning
from tinybar.pruning import clusters, narrowing
from tinybar.pruning.methods import id as id_
from tinybar.pruning.methods import magnitude, vq
from tinybar.pruning.methods import random as random_
from tinybar.pruning.narrowing import Change, Group

from .planting import argument, replace, result


def changed(module, name, left=1.0, right=1.0):
    """Multiply the maps by which a method narrows."""
    return result(module, name, lambda change: Change(left * change.left, right * change.right))


def last_is_never_drawn(patch):
    """Off by one."""
    right = random_.stream

    class Stream:
        def choice(self, count, n, replace):
            return right("gates").choice(count - 1, n, replace=replace)

    patch.setattr(random_, "stream", lambda name: Stream())


def one_filter_elsewhere(labels):
    """In the next cluster."""
    return np.r_[(labels[0] + 1) % (labels.max() + 1), labels[1:]]


MUTATIONS = {
    "uniform widths: WRN-28-12 at 16x, V and FLOPs": result(
        pruning, "flops", lambda flops: flops + 2
    ),
    "a narrowed network is the compact one of its channels": changed(narrowing, "kept", left=1.01),
    "with all channels kept: the same function": changed(id_, "interpolated", right=1.01),
    "random: each channel is as likely (std. errors)": last_is_never_drawn,
    "magnitude: the largest sums of |w| stay": changed(magnitude, "largest", left=1.01),
    "VQ: no clusters have a smaller error": result(clusters, "k_means", one_filter_elsewhere),
    "VQ: a filter's nearest centre is its own": replace(clusters, "STEPS", 1),
    "VQ: centres are means, what reads a member is summed": changed(vq, "clustered", left=1.01),
    "ID: the pivots are the farthest from the span": argument(
        id_, "interpolated", lambda a: [a[0] * np.linspace(1, 3, a[0].shape[1]), a[1]]
    ),
    "ID: T is least squares on the filters that stay": changed(id_, "interpolated", right=1.01),
    "ID: exact behind a linear layer of its rank": changed(id_, "interpolated", right=1.01),
}


def widths_of_the_first_writer(patch):
    """A residual signal's channels ranked by its first writer alone."""
    right = narrowing.groups

    def mutated(model):
        return [Group([writers[0]], norms, to) for writers, norms, to in right(model)]

    patch.setattr(narrowing, "groups", mutated)


def magnitudes_squared(filters, n):
    """The Euclidean norm in place of the sum of absolute values."""
    order = np.argsort(-np.square(filters).sum(axis=0), kind="stable")
    return narrowing.kept(order[:n], filters.shape[1])


def averaged_reads(change):
    """What reads a cluster's centre reads it with the mean of its members' weights."""
    return Change(change.left, change.right / change.right.sum(axis=1, keepdims=True))


def no_downdate(w, n):
    """Pivots by the norms that the filters had, whatever the pivots before explain of them."""
    pivots = np.argsort(-np.linalg.norm(w, axis=0))[:n]
    return pivots, np.linalg.qr(w[:, pivots])[0].T @ w


MISTAKES = {
    "a signal is ranked by one of its writers": (
        "magnitude: the largest sums of |w| stay",
        widths_of_the_first_writer,
    ),
    "magnitudes are Euclidean": (
        "magnitude: the largest sums of |w| stay",
        replace(magnitude, "largest", magnitudes_squared),
    ),
    "readers of a cluster are averaged": (
        "VQ: centres are means, what reads a member is summed",
        result(vq, "clustered", averaged_reads),
    ),
    "pivots by the norm alone": (
        "ID: the pivots are the farthest from the span",
        replace(id_, "pivoted_qr", no_downdate),
    ),
}
