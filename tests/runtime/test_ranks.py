"""Ranks: the place that a launcher gave, parts of minibatches, and what crosses between them."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.launching import ended, launch, needs_mpi

from tinybar.runtime import ranks

MPICH = {"PMI_RANK": "2", "PMI_SIZE": "4", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}


@pytest.fixture(autouse=True)
def _unlaunched(monkeypatch):
    """As without a launcher, whatever started the tests."""
    for name in (*MPICH, *OPEN_MPI):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ranks, "_batch", 1)


@pytest.mark.parametrize(
    ("environ", "place"), [({}, (0, 1, 0, 1)), (MPICH, (2, 4, 0, 2)), (OPEN_MPI, (3, 4, 1, 2))]
)
def test_the_place_that_a_launcher_gave(environ, place, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ranks.launched() == place


def test_without_mpi4py_it_is_asked_for(monkeypatch):
    for name, value in MPICH.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ValueError, match=r"started 4 processes, .* pip install 'tinybar\[mpi\]'$"):
        ranks.start()
    assert ranks.size() == 1


def test_a_process_that_is_alone_keeps_what_it_has():
    ranks.start()
    ranks.share_out(7)
    array = np.arange(3.0)
    ranks.add(array)
    ranks.broadcast(array)
    assert (ranks.rank(), ranks.size(), ranks.part(), ranks.weight()) == (0, 1, slice(None), 1.0)
    assert array.tolist() == [0, 1, 2]
    assert ranks.highest(3, -1) == [3, -1]
    assert ranks.broadcast_bytes(b"content") == b"content"
    assert ranks.of_all(21) == 21


class Of:
    """What a communicator says of itself."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@given(st.integers(1, 300), st.integers(1, 9))
def test_parts_are_disjoint_and_all_there_is(batch, size):
    parts = []
    for k in range(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranks, "_world", Of(k, size))
            if batch < size:
                with pytest.raises(ValueError, match=f"cannot share out minibatches of {batch} im"):
                    ranks.share_out(batch)
                return
            ranks.share_out(batch)
            parts.append(range(batch)[ranks.part()])
            assert ranks.weight() == len(parts[-1]) / batch
            assert ranks.of_all(len(parts[-1]) * 16) == batch * 16
    assert [i for part in parts for i in part] == list(range(batch))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


CROSSING = """
import numpy as np
from tinybar.runtime import ranks
ranks.start()
k, n = ranks.rank(), ranks.size()
assert n == 3
for dtype in "float32", "float64":
    buffer = np.arange(5, dtype=dtype) + k
    ranks.add(buffer)
    assert buffer.dtype == dtype and buffer.tolist() == [3, 6, 9, 12, 15]
assert ranks.highest(k, -k, k == 1) == [2, 0, 1]
array = np.full((2, 3), k, np.int64)
ranks.broadcast(array)
assert not array.any()
assert ranks.broadcast_bytes(b"\\0 of rank 0" if k == 0 else b"") == b"\\0 of rank 0"
assert ranks.broadcast_bytes() == b""
with ranks.rank_0_first():
    pass
ranks.leave()
assert (ranks.rank(), ranks.size()) == (0, 1)
if k == 0:
    print("all of", n)
"""


@needs_mpi
def test_what_crosses_between_real_processes():
    assert ended(launch(3, "-c", CROSSING)) == (0, "all of 3\n", "")
