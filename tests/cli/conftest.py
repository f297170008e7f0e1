"""A finished run."""

import shutil
import signal

import pytest
from cli.common import QUICK

from tinybar.cli import main


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("cli") / "finished"
    assert main(["train", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of it, called `run`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "run")
    return tmp_path / "run"


@pytest.fixture
def _python_s_own_handler():
    """pytest may have been started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
