"""What pyproject.toml promises to those who install."""

import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())


@pytest.mark.parametrize("cuda", ["12", "13"])
def test_a_gpu_s_extra_brings_what_multiplies(cuda):
    """CuPy's wheels of version 14 hold no cuBLAS, NVRTC or headers: [ctk] brings them, not NCCL."""
    cupy, nccl = PROJECT["project"]["optional-dependencies"][f"cuda{cuda}"]
    assert cupy.startswith(f"cupy-cuda{cuda}x[ctk]>=14")
    assert nccl.startswith(f"nvidia-nccl-cu{cuda}>=")
