"""The stand-in for CuPy, in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinybar.kernels import dispatch
from tinybar.kernels.cuda import launcher
from tinybar.runtime import arrays

STANDIN = Path(__file__).with_name("standin")
ROOTS = ("cupy", "cupyx", "cupy_backends")


def _removed() -> dict:
    """The modules of any CuPy, taken out."""
    names = [name for name in sys.modules if name.partition(".")[0] in ROOTS]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(scope="module")
def cupy():
    """The stand-in as the module `cupy`."""
    others = _removed()
    sys.path.insert(0, str(STANDIN))
    try:
        import cupy

        yield cupy
    finally:
        sys.path.remove(str(STANDIN))
        _removed()
        sys.modules.update(others)
        launcher.kernel.cache_clear()
        launcher._module.cache_clear()


@pytest.fixture
def gpu(cupy):
    """The stand-in's GPU as the device, and compiled kernels on it."""
    arrays.use_device("gpu")
    dispatch.enable(True)
    yield cupy
    dispatch.enable(False)


@pytest.fixture
def on_standin(tmp_path):
    """Run a module with the stand-in in CuPy's place, and return its output."""

    def run(*command: str, cwd: Path = tmp_path) -> str:
        paths = [str(STANDIN), str(STANDIN.parents[1]), str(STANDIN.parents[2])]
        environment = {"PYTHONPATH": os.pathsep.join(paths), "TINYBAR_FAST": "on"}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run
