"""mpiexec, where it is installed: real processes, since a stand-in for MPI would prove nothing."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
PATIENCE = 120  # seconds until processes that do nothing are given up

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpiexec and mpi4py: pip install -e '.[test,mpi]'",
)


def launch(n: int, *arguments, **environ: str) -> subprocess.Popen:
    """`python *arguments` in n processes."""
    command = [MPIEXEC, "-n", str(n), sys.executable, *map(str, arguments)]
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(map(str, (root, root / "tests")))
    settings = {"OPENBLAS_NUM_THREADS": "1", "TINYBAR_FAST": "off", "PYTHONPATH": paths}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=os.environ | settings | environ
    )


def ended(process: subprocess.Popen, within: float = PATIENCE) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of all processes together."""
    try:
        out, err = process.communicate(timeout=within)
    finally:
        process.kill()
    return process.returncode, out, err
