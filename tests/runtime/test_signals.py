"""Signals as exceptions, at once or when a block has ended."""

import signal
import threading
from contextlib import suppress

import pytest

from tinybar.runtime import signals
from tinybar.runtime.signals import Interrupted, held, note, raised, received, stop

NUMBERS = [getattr(signal, name) for name in signals.NAMES if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def _python_s_own_handlers():
    """Whatever pytest was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopped(block) -> Interrupted:
    """What ends block() where signals are raised."""
    with pytest.raises(Interrupted) as raised_, raised():
        block()
    assert not received()
    return raised_.value


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n.name)
def test_a_signal_is_raised_with_its_exit_code_and_handlers_are_restored(number):
    before = signal.getsignal(number)
    error = stopped(lambda: signal.raise_signal(number))
    assert (error.code, error.where) == (128 + number, "")
    assert signal.getsignal(number) == before


def test_no_handler_of_exceptions_catches_it():
    def block():
        with suppress(Exception):
            interrupt()

    stopped(block)


def test_it_is_held_back_until_the_end_of_the_block():
    reached = []

    def block():
        with held():
            signal.raise_signal(signal.SIGTERM)
            assert received()
            interrupt()  # a second one changes nothing
            reached.append("end")

    assert stopped(block).code == 128 + signal.SIGTERM
    assert reached == ["end"]


def test_or_until_the_block_stops():
    def block():
        with held():
            stop("nothing was received")
            interrupt()
            stop(" at iteration 7")

    error = stopped(block)
    assert (error.code, error.where) == (130, " at iteration 7")


def test_after_the_block_it_is_raised_at_once_again():
    reached = []

    def block():
        with held():
            reached.append("block")
        interrupt()
        reached.append("after")

    stopped(block)
    assert reached == ["block"]


@pytest.mark.parametrize(("own", "code"), [(False, 143), (True, 130)])
def test_what_another_process_got_is_noted(own, code):
    """A signal of one's own comes first; 0 is none."""

    def block():
        with held():
            note(0)
            assert received() == 0
            if own:
                interrupt()
            note(signal.SIGTERM)
            assert received() == code - 128

    assert stopped(block).code == code


def test_an_error_in_the_block_is_the_error():
    def block():
        with raised(), held():
            interrupt()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        block()


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with raised():
        signal.raise_signal(signal.SIGINT)
        assert not received()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_nothing():
    before, during = signal.getsignal(signal.SIGINT), []

    def work():
        with raised():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]
