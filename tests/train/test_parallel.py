"""One step and one state on several processes."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from runtime.launching import ended, launch, needs_mpi

from tinybar.autograd import Tensor
from tinybar.train import parallel
from tinybar.train.parallel import BUCKET, buckets


@given(st.lists(st.tuples(st.integers(1, 30 << 20), st.sampled_from("fd")), max_size=9))
def test_buckets_hold_all_parameters_in_order(sizes):
    parameters = [Tensor(np.broadcast_to(np.zeros(1, t), (n,))) for n, t in sizes]
    found = list(buckets(parameters))
    assert [id(p) for bucket in found for p in bucket] == [id(p) for p in parameters]
    for bucket in found:
        assert len({p.dtype for p in bucket}) == 1
        assert len(bucket) == 1 or sum(p.data.nbytes for p in bucket) <= BUCKET
    for one, other in pairwise(found):  # none could have been larger
        fits = sum(p.data.nbytes for p in (*one, other[0])) <= BUCKET
        assert not (fits and one[0].dtype == other[0].dtype)


def test_a_process_that_is_alone_keeps_its_gradients():
    p = Tensor(np.ones(3), requires_grad=True)
    p.grad = before = np.arange(3.0)
    parallel.add_gradients([p])
    assert p.grad is before


TOGETHER = """
import dataclasses
import numpy as np
from train.toy import toy
from tinybar import nn
from tinybar.autograd import Tensor
from tinybar.runtime import random, ranks
from tinybar.train import following, parallel
ranks.start()
parallel.BUCKET = 100
k = ranks.rank()

parameters = [Tensor(np.zeros(n), requires_grad=True) for n in (5, 40, 3, 2)]
for i, p in enumerate(parameters):
    p.grad = np.arange(p.size) * (k + 1.0) + i
parameters[3].grad = None
parallel.add_gradients(parameters)
for i, p in enumerate(parameters[:3]):
    assert p.grad.tolist() == (np.arange(p.size) * 3 + 2 * i).tolist()
assert parameters[3].grad is None

def network(seed):
    random.seed(seed)
    net = nn.build("wrn-10-1", 3, (6, 6, 1), nn.HardConcrete)
    optimizer = nn.Adam(net.parameters())
    for p in net.parameters():
        p.grad = p.data + seed
    for _ in range(seed):
        optimizer.step()
    return net, optimizer

found, expected = network(1 + k), network(1)
parallel.as_first(*found)
for a, b in zip(found, expected):
    a, b = a.state_dict(), b.state_dict()
    assert all(np.array_equal(a[name], b[name]) for name in b)

following.check_same_data(toy())
try:
    following.check_same_data(toy(seed=k))
    assert k == 0
except ValueError as error:
    assert k == 1 and str(error) == "the images or classes of toy differ between the processes"
if k == 0:
    print("done")
"""


@needs_mpi
def test_two_processes():
    assert ended(launch(2, "-c", TOGETHER)) == (0, "done\n", "")
