"""Engines: how they are registered, and which are chosen."""

from unittest.mock import patch

import pytest

from tinybar.bench.case import Case
from tinybar.bench.engines import ENGINES, Engine, add_engine, choose_peers
from tinybar.cli import main

from .common import QUICK, TINY, tiny

TOY = """
def versions():
    return {"toy": "0.1"}

def prepare(case):
    return lambda: sum(case.batch()[1])
"""


@pytest.fixture
def toy(tmp_path):
    """An engine for training steps of the small network; what a test registers is forgotten."""
    (tmp_path / "toy_steps.py").write_text(TOY)
    with patch.dict(ENGINES):
        yield Engine("toy_steps", tmp_path, ("json",), networks=("small",), kinds=("step",))


def test_a_registered_engine_is_timed(toy, capsys):
    add_engine("toy", toy)
    add_engine("toy", toy)  # registering it again changes nothing
    with pytest.raises(ValueError, match="there is an engine 'toy' already"):
        add_engine("toy", Engine("other"))
    assert main(["bench", "small", "--image-shape", "8", "8", "3", *QUICK]) == 0
    assert "toy 0.1" in capsys.readouterr().out


def test_which_peers_are_chosen(toy, monkeypatch, capsys):
    add_engine("toy", toy)
    add_engine("absent", Engine("absent", needs=("no_such_module",), kinds=("infer",)))
    add_engine("compiled", Engine("toy_steps", needs=("json",), programs=("no-such-program",)))
    small = Case("step", "small", threads=1)
    assert choose_peers(None, small) == (["toy"], ["compiled"])
    assert choose_peers(None, tiny(gated=True)) == ([], ["compiled"])
    assert choose_peers(" tinybar-numpy ,,tinybar-numpy", small) == (["tinybar-numpy"], [])
    infer = ["bench", *TINY, "--case", "infer"]
    for peer, message in [
        ("absent", "absent is not installed: pip install no_such_module"),
        ("compiled", "compiled is not installed: it needs no-such-program on the path"),
        ("toy", "toy only runs --case step of the network 'small'"),
    ]:
        assert main([*infer, "--peers", peer]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr(Engine, "lacks", lambda _: "everything")
    assert main(infer) == 0
    assert "not installed: onnxruntime, absent, compiled" in capsys.readouterr().out


@pytest.mark.parametrize("network", ["small", "wrn-10-1"])
def test_every_engine_starts_with_the_same_weights(network):
    one, two = (tiny(network=network).build().state_dict() for _ in range(2))
    for name, array in one.items():
        assert (array == two[name]).all(), name
