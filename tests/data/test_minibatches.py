"""The minibatches of an epoch: their contents, their order, and the thread that makes them."""

import os
import signal
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import NO_AUGMENTATION, Augmentation, Normalised, batches, in_order
from tinybar.data.minibatches import prefetch
from tinybar.runtime import arrays


def items(n):
    """n images whose pixels are their index, as their labels are."""
    labels = np.arange(n)
    images = np.broadcast_to(labels[:, None, None, None], (n, 2, 2, 1)).astype(np.float32)
    return images, labels


@given(
    n=st.integers(1, 40),
    size=st.integers(1, 50),
    pad=st.integers(0, 1),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_two_epochs_draw_the_order_then_the_augmentation_of_each_minibatch(
    n, size, pad, flip, seed
):
    """Whether a thread makes them or not. A checkpoint after an epoch resumes with these draws."""
    images, labels = items(n)
    augmentation, rng = Augmentation(pad, flip), np.random.default_rng(seed)
    again, width = np.random.default_rng(seed), min(size, n)
    for _ in range(2):
        epoch = list(batches(images, labels, size, rng, augmentation))
        order = again.permutation(n)
        assert len(epoch) == n // width
        for k, (x, y) in enumerate(epoch):
            chosen = order[k * width : (k + 1) * width]
            assert np.array_equal(y, chosen)
            assert np.array_equal(x, augmentation.apply(images[chosen], again))
        assert rng.bit_generator.state == again.bit_generator.state


@given(
    n=st.integers(1, 40),
    size=st.integers(1, 12),
    pad=st.integers(0, 1),
    flip=st.booleans(),
    share=st.floats(0, 1),
)
def test_an_epoch_goes_on_in_its_middle_bit_for_bit(n, size, pad, flip, share):
    """What follows, and what the next epoch draws."""
    images, labels = np.random.default_rng(0).random((n, 2, 2, 1), np.float32), np.arange(n)
    count = n // min(size, n)
    first, augmentation = round(share * count), Augmentation(pad, flip)
    rngs = [np.random.default_rng(1) for _ in range(2)]
    whole, rest = (
        list(batches(images, labels, size, rng, augmentation, start))
        for rng, start in zip(rngs, (0, first), strict=True)
    )
    assert len(rest) == count - first
    for (x, y), (expected, index) in zip(rest, whole[first:], strict=True):
        assert np.array_equal(x, expected)
        assert np.array_equal(y, index)
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state


@given(
    n=st.integers(1, 40),
    size=st.integers(1, 12),
    flip=st.booleans(),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_parts_of_minibatches_are_those_of_the_whole_ones(n, size, flip, cuts):
    """Augmentation too; and the stream is left as by the whole ones."""
    images, augmentation = np.random.default_rng(0).random((n, 3, 2, 1), np.float32), (1, flip)

    def epoch(part=slice(None)):
        rng = np.random.default_rng(7)
        made = list(batches(images, np.arange(n), size, rng, Augmentation(*augmentation), 0, part))
        return made, rng.bit_generator.state

    whole, state = epoch()
    edges = [0, *sorted(cuts), None]
    parts = [epoch(slice(*edge)) for edge in pairwise(edges)]
    assert all(end == state for _, end in parts)
    for k, arrays_of_one in enumerate(whole):
        for i, array in enumerate(arrays_of_one):
            assert np.array_equal(np.concatenate([made[k][i] for made, _ in parts]), array)


@given(n=st.integers(1, 30), size=st.integers(1, 9), every=st.integers(1, 5))
def test_processes_take_turns_at_the_minibatches_in_order(n, size, every):
    images, labels = items(n)
    turns = [list(in_order(images, labels, size, k, every)) for k in range(every)]
    for k, (x, y) in enumerate(in_order(images, labels, size)):
        mine = turns[k % every].pop(0)
        assert np.array_equal(mine[0], x)
        assert np.array_equal(mine[1], y)
    assert not any(turns)


def test_minibatches_of_bytes_are_those_of_normalised_images():
    images, labels = np.random.default_rng(0).integers(0, 256, (9, 3, 3, 1), np.uint8), np.arange(9)
    kept = Normalised(images, [0.4], [0.2], 255.0)
    draws = [np.random.default_rng(1) for _ in range(2)]
    ways = [
        batches(array, labels, 2, rng, Augmentation(1, True))
        for array, rng in zip((kept, kept[:]), draws, strict=True)
    ]
    ways += [in_order(array, labels, 2) for array in (kept, kept[:])]
    for one, other in (ways[:2], ways[2:]):
        for (x, y), (expected, index) in zip(one, other, strict=True):
            assert np.array_equal(x, expected)
            assert np.array_equal(y, index)


def test_the_order_is_drawn_at_the_call():
    images, labels = items(20)
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    epoch = batches(images, labels, 5, rng)
    order = again.permutation(20)
    assert rng.random() == again.random()
    assert np.array_equal(np.concatenate([y for _, y in epoch]), order)


@pytest.mark.gpu
@pytest.mark.parametrize("augmentation", [NO_AUGMENTATION, Augmentation(2, True)], ids=str)
def test_minibatches_on_the_device_equal_those_on_the_host(augmentation):
    arrays.use_device("gpu")
    images = np.random.default_rng(0).random((50, 8, 8, 3), np.float32)
    labels = np.arange(50)
    there, here = (
        list(batches(array, labels, 8, np.random.default_rng(1), augmentation))
        for array in (arrays.to_device(images), images)
    )
    for on_device, on_host in zip(there, here, strict=True):
        for array, expected in zip(on_device, on_host, strict=True):
            assert arrays.array_module(array) is arrays.xp()
            assert np.array_equal(arrays.to_numpy(array), expected)
    parts = list(in_order(arrays.to_device(images), labels, 16))
    assert np.array_equal(np.concatenate([arrays.to_numpy(x) for x, _ in parts]), images)


@given(n=st.integers(1, 30), size=st.integers(1, 40))
def test_in_order_yields_all_images_as_stored(n, size):
    images, labels = items(n)
    parts = list(in_order(images, labels, size))
    assert np.array_equal(np.concatenate([x for x, _ in parts]), images)
    assert np.array_equal(np.concatenate([y for _, y in parts]), labels)
    assert all(len(x) == size for x, _ in parts[:-1])
    assert all(np.shares_memory(x, images) for x, _ in parts)


def shuffled(images, labels, size):
    return batches(images, labels, size, np.random.default_rng(0))


@pytest.mark.parametrize("function", [shuffled, in_order])
def test_errors_are_raised_at_the_call(function):
    images, labels = items(4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        function(images, labels, 0)
    with pytest.raises(TypeError, match=r"batch_size must be an integer, got 2\.0"):
        function(images, labels, 2.0)
    with pytest.raises(TypeError, match="images must be float32"):
        function(images.astype(np.uint8), labels, 2)
    with pytest.raises(ValueError, match=r"images must be .*, got shape \(4, 2, 2\)"):
        function(images[..., 0], labels, 2)
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), one per image, got \(3"):
        function(images, labels[:3], 2)
    with pytest.raises(ValueError, match="there are no images to make minibatches of"):
        function(images[:0], labels[:0], 2)


@pytest.mark.parametrize(
    ("first", "error", "message"),
    [
        (-1, ValueError, "first must be at least 0, got -1"),
        (3, ValueError, "first must be at most 2 minibatches, got 3"),
        (1.0, TypeError, "first must be an integer"),
    ],
)
def test_minibatches_to_leave_out_that_are_not_there(first, error, message):
    with pytest.raises(error, match=message):
        batches(*items(4), 2, np.random.default_rng(0), first=first)


# --- the thread ----------------------------------------------------------------------------------


class Source:
    """0, 1, 2, ... It counts how many were made, and records the threads that made them."""

    def __init__(self, n):
        self.n, self.made, self.threads = n, 0, set()

    def __iter__(self):
        while self.made < self.n:
            self.made += 1
            self.threads.add(threading.current_thread())
            yield self.made - 1

    def thread(self) -> threading.Thread:
        (thread,) = self.threads
        return thread


@given(n=st.integers(0, 8), taken=st.integers(0, 8))
def test_one_minibatch_is_prefetched_and_closing_ends_the_thread(n, taken):
    source, taken = Source(n), min(taken, n)
    epoch = prefetch(iter(source))
    assert [next(epoch) for _ in range(taken)] == list(range(taken))
    epoch.close()
    assert source.made == (min(n, taken + 1) if taken else 0)
    if source.made:
        assert source.thread() is not threading.current_thread()
        assert not source.thread().is_alive()


def test_the_thread_ends_on_exhaustion_and_garbage_collection():
    source = Source(3)
    assert list(prefetch(iter(source))) == [0, 1, 2]
    assert not source.thread().is_alive()
    source = Source(3)
    epoch = prefetch(iter(source))
    next(epoch)
    assert source.thread().is_alive()
    del epoch
    assert not source.thread().is_alive()


def test_an_exception_in_the_thread_is_raised_in_place_of_its_minibatch():
    error = OSError("a disk is gone")
    source = Source(2)

    def failing():
        yield from source
        raise error

    epoch = prefetch(failing())
    assert [next(epoch), next(epoch)] == [0, 1]
    with pytest.raises(OSError, match="a disk is gone") as raised:
        next(epoch)
    assert raised.value is error
    assert not source.thread().is_alive()


def test_the_thread_ends_on_ctrl_c():
    source, interrupted = Source(1), threading.Event()

    def slow():
        yield from source
        os.kill(os.getpid(), signal.SIGINT)  # as a terminal does: the main thread wakes
        interrupted.wait(10)
        yield 1

    def handle(number, frame):
        interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        epoch = prefetch(slow())
        with pytest.raises(KeyboardInterrupt):
            list(epoch)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted.is_set()
    assert not source.thread().is_alive()


def test_only_augmented_minibatches_are_prefetched():
    """Without augmentation, passing a minibatch between threads costs more than its copy."""
    images, labels = items(8)
    for augmentation, threads in ((Augmentation(1), 1), (NO_AUGMENTATION, 0)):
        epoch = batches(images, labels, 2, np.random.default_rng(0), augmentation)
        next(epoch)
        assert sum(t.name.startswith("batches") for t in threading.enumerate()) == threads
        epoch.close()
