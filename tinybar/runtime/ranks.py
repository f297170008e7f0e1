"""Processes that train one network together: each has a share of every minibatch.

`mpiexec -n 4 tinybar train ...` starts ranks 0, 1, 2 and 3. MPI carries the arrays of the host,
NCCL those of GPUs. Before `start`, and where nothing launched several processes, a process is
alone: rank 0 of 1, and what is to be added or broadcast stays what it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .arrays import Array, array_module

LAUNCHERS = (  # rank and size, in all and on this machine, as launchers tell them
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),  # MPICH, Intel MPI
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),  # Open MPI
)  # fmt: skip


class Place(NamedTuple):
    """A process among those that were launched together, and among those on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def launched() -> Place:
    """The place that a launcher gave to this process. mpi4py is not asked, nor needed."""
    for names in LAUNCHERS:
        if all(os.environ.get(name, "").isdigit() for name in names):
            return Place(*(int(os.environ[name]) for name in names))
    return Place()


_world = _gpus = None  # the communicators of MPI and of NCCL; None: alone, or not needed yet
_batch = 1  # images in a minibatch


def start() -> None:
    """Join the other processes, if there are some.

    Raises ValueError where mpi4py is missing, or is not for the MPI of the launcher.
    """
    global _world
    size = launched().size
    if size == 1:
        return
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the second where it finds no MPI
        raise ValueError(
            f"mpiexec started {size} processes, and they need mpi4py and its MPI to train one "
            "network: pip install 'tinybar[mpi]'"
        ) from error
    if MPI.COMM_WORLD.size != size:
        raise ValueError(
            f"mpiexec started {size} processes, and mpi4py sees {MPI.COMM_WORLD.size}: they are of "
            "different MPIs; use the mpiexec that pip install 'tinybar[mpi]' brings"
        )
    _world = MPI.COMM_WORLD


def share_out(batch: int) -> None:
    """Say how many images all minibatches have; each rank works on its part of them.

    Raises ValueError where there is not one for each.
    """
    global _batch
    if batch < size():
        raise ValueError(f"{size()} processes cannot share out minibatches of {batch} images")
    _batch = batch


def part() -> slice:
    """The images of a minibatch that are this rank's: parts differ by one image at most."""
    if size() == 1:
        return slice(None)
    return slice(_batch * rank() // size(), _batch * (rank() + 1) // size())


def weight() -> float:
    """The share of this rank in a mean over the minibatch."""
    return len(range(_batch)[part()]) / _batch


def of_all(m: int) -> int:
    """How many values all ranks have together, where this one has m, as many for each image."""
    return m * _batch // len(range(_batch)[part()])


def rank() -> int:
    """Which one this process is, from 0 to size() - 1. Rank 0 alone writes."""
    return 0 if _world is None else _world.rank


def size() -> int:
    """How many processes train together."""
    return 1 if _world is None else _world.size


def add(buffer: Array) -> None:
    """Replace a contiguous array by its sum over all ranks, in place; float32 or float64."""
    global _gpus
    if _world is None:
        return
    if array_module(buffer) is np:
        from mpi4py.MPI import IN_PLACE

        _world.Allreduce(IN_PLACE, buffer)
        return
    if _gpus is None:
        from cupyx.distributed import NCCLBackend

        _gpus = NCCLBackend(size(), rank(), use_mpi=True)
    _gpus.all_reduce(buffer, buffer, "sum")  # on the current stream: the host does not wait


def highest(*numbers: int) -> list[int]:
    """The highest of each number over all ranks."""
    found = np.array(numbers, np.int64)
    if _world is not None:
        from mpi4py.MPI import IN_PLACE, MAX

        _world.Allreduce(IN_PLACE, found, MAX)
    return found.tolist()


@contextmanager
def rank_0_first() -> Iterator[None]:
    """Rank 0 goes through the block before the others enter it."""
    if rank():
        highest(0)
    yield
    if not rank():
        highest(0)


def broadcast(array: np.ndarray) -> None:
    """Overwrite a contiguous array of the host by that of rank 0."""
    if _world is not None:
        _world.Bcast(array)


def broadcast_bytes(content: bytes = b"") -> bytes:
    """The bytes that rank 0 has."""
    (length,) = highest(len(content) if rank() == 0 else 0)
    buffer = np.frombuffer(content, np.uint8).copy() if rank() == 0 else np.empty(length, np.uint8)
    broadcast(buffer)
    return buffer.tobytes()


def end(code: int) -> None:
    """End all ranks at once, wherever they are; the exit code of mpiexec is `code`."""
    if _world is None:
        return
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI would add a line of its own
    _world.Abort(code)


def leave() -> None:
    """Be alone again, when all have done their part."""
    global _world, _gpus
    if _world is not None:
        from mpi4py import MPI

        _world = _gpus = None
        MPI.Finalize()
