"""A lock that ends with its process."""

import os
import subprocess
import sys

import pytest

from tinybar.runtime.locks import LockedError, locked

HOLD = """
import sys
from pathlib import Path
from tinybar.runtime.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_it_is_held_once_and_leaves_no_file(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(LockedError) as refused, locked(path):
            pytest.fail("held twice")
        assert refused.value.pid == str(os.getpid())
        assert path.exists()
    assert not path.exists()
    with locked(path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(LockedError) as refused, locked(path):
            pytest.fail("held twice")
        assert refused.value.pid == str(child.pid)
        child.kill()
        child.wait()
        assert path.exists()
        with locked(path):
            assert path.read_text() == str(os.getpid())


def test_the_folder_may_go_while_it_is_held(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder / "lock"):
        (folder / "lock").unlink()
        with locked(folder / "lock"):  # of a new run in a folder of that name
            pass
        folder.rmdir()


def test_where_no_file_can_be_written(tmp_path):
    with pytest.raises(OSError, match="nowhere"), locked(tmp_path / "nowhere" / "lock"):
        pytest.fail("held")
