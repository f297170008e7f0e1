"""What an epoch's minibatches hold, in which order, and by which thread they are made."""

import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar.data import NO_AUGMENTATION, Augmentation, batches, in_order
from tinybar.data.minibatches import ahead
from tinybar.runtime import arrays


def items(n):
    """n images that know their own index, as their labels do."""
    labels = np.arange(n)
    images = np.broadcast_to(labels[:, None, None, None], (n, 2, 2, 1)).astype(np.float32)
    return images, labels


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_covers_the_items_once_in_full_batches(n, size, seed):
    images, labels = items(n)
    epoch = list(batches(images, labels, size, np.random.default_rng(seed)))
    width = min(size, n)
    assert len(epoch) == n // width
    for x, y in epoch:
        assert x.shape == (width, 2, 2, 1)
        assert np.array_equal(x[:, 0, 0, 0], y)  # images keep their labels
    seen = np.concatenate([y for _, y in epoch])
    assert len(set(seen)) == len(seen) == n - n % width


def test_epochs_are_shuffled_differently():
    images, labels = items(50)
    rng = np.random.default_rng(0)
    first, second = (np.concatenate([y for _, y in batches(images, labels, 10, rng)]) for _ in "ab")
    assert not np.array_equal(first, labels)
    assert not np.array_equal(first, second)


def test_the_left_out_items_differ_from_epoch_to_epoch():
    images, labels = items(7)
    rng = np.random.default_rng(0)
    kept = {frozenset(y) for _ in range(30) for _, y in batches(images, labels, 6, rng)}
    assert len(kept) > 3


@given(seed=st.integers(0, 2**32 - 1))
def test_the_generator_alone_decides(seed):
    images, labels = items(12)
    augmentation = Augmentation(1, True)
    epochs = [
        list(batches(images, labels, 4, np.random.default_rng(seed), augmentation)) for _ in "ab"
    ]
    for (x1, y1), (x2, y2) in zip(*epochs, strict=True):
        assert np.array_equal(x1, x2)
        assert np.array_equal(y1, y2)


def test_the_order_is_drawn_at_the_call():
    images, labels = items(20)
    rng = np.random.default_rng(5)
    epoch = batches(images, labels, 5, rng)
    assert np.array_equal(rng.random(3), _after_permutation(5, 20).random(3))
    expected = np.random.default_rng(5).permutation(20)
    assert np.array_equal(np.concatenate([y for _, y in epoch]), expected)


def _after_permutation(seed, n):
    rng = np.random.default_rng(seed)
    rng.permutation(n)
    return rng


def test_batches_are_augmented():
    images, labels = np.ones((40, 4, 4, 1), np.float32), np.arange(40)
    rng = np.random.default_rng(0)
    assert any((x == 0).any() for x, _ in batches(images, labels, 8, rng, Augmentation(1)))


@given(
    n=st.integers(1, 30),
    size=st.integers(1, 12),
    pad=st.integers(0, 2),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_draws_of_two_epochs_in_their_order(n, size, pad, flip, seed):
    """Order, then augmentation, batch by batch: whoever makes them, nothing is drawn ahead of an
    epoch's end, so that a checkpoint made there goes on with the same images."""
    images, labels = items(n)
    augmentation, rng = Augmentation(pad, flip), np.random.default_rng(seed)
    again, width = np.random.default_rng(seed), min(size, n)
    for _ in range(2):
        epoch = list(batches(images, labels, size, rng, augmentation))
        order = again.permutation(n)
        for k, (x, y) in enumerate(epoch):
            chosen = order[k * width : (k + 1) * width]
            assert np.array_equal(y, chosen)
            assert np.array_equal(x, augmentation.apply(images[chosen], again))
        assert rng.bit_generator.state == again.bit_generator.state


@pytest.mark.gpu
@pytest.mark.parametrize("augmentation", [NO_AUGMENTATION, Augmentation(2, True)], ids=str)
def test_batches_of_images_on_the_device(augmentation):
    arrays.use_device("gpu")
    images = np.random.default_rng(0).random((50, 8, 8, 3), np.float32)
    labels = np.arange(50)
    there, here = (
        list(batches(kept, labels, 8, np.random.default_rng(1), augmentation))
        for kept in (arrays.to_device(images), images)
    )
    for on_device, on_host in zip(there, here, strict=True):
        for array, expected in zip(on_device, on_host, strict=True):
            assert arrays.array_module(array) is arrays.xp()
            assert np.array_equal(arrays.to_numpy(array), expected)
    parts = list(in_order(arrays.to_device(images), labels, 16))
    assert np.array_equal(np.concatenate([arrays.to_numpy(x) for x, _ in parts]), images)


@given(n=st.integers(1, 30), size=st.integers(1, 40))
def test_in_order_gives_everything_as_stored(n, size):
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
    with pytest.raises(ValueError, match="there are no images to make batches of"):
        function(images[:0], labels[:0], 2)


# --- the thread ----------------------------------------------------------------------------------


class Source:
    """0, 1, 2, ... that counts how many were made, and remembers the threads that made them."""

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
def test_the_thread_is_one_ahead_at_most_and_gone_at_the_end(n, taken):
    source, taken = Source(n), min(taken, n)
    epoch = ahead(iter(source))
    assert [next(epoch) for _ in range(taken)] == list(range(taken))
    epoch.close()
    assert source.made == (min(n, taken + 1) if taken else 0)
    if source.made:
        assert source.thread() is not threading.current_thread()
        assert not source.thread().is_alive()


def test_exhausted_or_forgotten_no_thread_is_left():
    source = Source(3)
    assert list(ahead(iter(source))) == [0, 1, 2]
    assert not source.thread().is_alive()
    source = Source(3)
    epoch = ahead(iter(source))
    next(epoch)
    assert source.thread().is_alive()
    del epoch
    assert not source.thread().is_alive()


def test_an_exception_of_the_thread_arrives_as_itself_at_its_turn():
    error = OSError("a disk is gone")
    source = Source(2)

    def failing():
        yield from source
        raise error

    epoch = ahead(failing())
    assert [next(epoch), next(epoch)] == [0, 1]
    with pytest.raises(OSError, match="a disk is gone") as raised:
        next(epoch)
    assert raised.value is error
    assert not source.thread().is_alive()


def test_ctrl_c_while_waiting_for_a_batch_leaves_no_thread():
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
        epoch = ahead(slow())
        with pytest.raises(KeyboardInterrupt):
            list(epoch)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted.is_set()
    assert not source.thread().is_alive()


def test_augmented_batches_are_made_by_a_thread_and_copies_are_not():
    """Without augmentation the hand-over would cost more than the copy."""
    images, labels = items(8)
    for augmentation, threads in ((Augmentation(1), 1), (NO_AUGMENTATION, 0)):
        epoch = batches(images, labels, 2, np.random.default_rng(0), augmentation)
        next(epoch)
        assert sum(t.name.startswith("batches") for t in threading.enumerate()) == threads
        epoch.close()
