"""What pyproject.toml promises to those who install."""

import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())


@pytest.mark.parametrize("extra", ["cuda12", "cuda13"])
def test_a_gpu_s_extra_brings_what_multiplies(extra):
    """Since version 14 CuPy's wheels hold neither cuBLAS nor NVRTC: its extra [ctk] brings both."""
    (requirement,) = PROJECT["project"]["optional-dependencies"][extra]
    assert requirement.startswith(f"cupy-{extra}x[ctk]>=14")
