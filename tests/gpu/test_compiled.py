"""NVRTC compiles every kernel, as it does for CuPy, on machines without a GPU too."""

import re

import pytest
import resources

from gpu import emulation

LOG = """ptxas info    : 24 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_80'
ptxas info    : Function properties for one
ptxas         .     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 42 registers, used 1 barriers, 8 bytes cumulative stack size, 128 bytes smem
ptxas info    : Compile time = 11.102 ms
ptxas info    : Compiling entry function 'other' for 'sm_80'
ptxas info    : Function properties for other
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 376 bytes cmem[0]
ptxas info    : Compile time = 2.0 ms
"""


FOUND = {"80": resources.read(LOG)}


def test_the_assembler_s_report_is_read():
    assert FOUND["80"] == {"one": (42, 8, 16, 128), "other": (32, 0, 0, 0)}


@pytest.mark.parametrize(
    ("registers", "share"), [(16, 1), (32, 1), (33, 0.75), (40, 0.75), (64, 0.5), (128, 0.25)]
)
def test_occupancy_as_nvidia_s_calculator_has_it(registers, share):
    assert resources.Resources(registers, 0, 0, 0).occupancy == share


def test_the_page_has_every_kernel_and_none_that_waits_for_memory():
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", resources.page(FOUND, "NVRTC 0.0"), re.MULTILINE)
    assert rows == [("one", " 42 | 8 | 16 | 128 | 62 % "), ("other", " 32 | 0 | 0 | 0 | 100 % ")]
    page = (resources.RESULTS / "kernels.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(emulation.KERNELS)
    for name, row in rows:
        cells = row.split("|")
        for start in range(0, len(cells), 5):
            assert list(map(int, cells[start + 1 : start + 3])) == [0, 0], name


@pytest.mark.parametrize("architecture", resources.ARCHITECTURES)
def test_nvrtc_compiles_every_kernel_into_registers_alone(architecture):
    """Memory is slow; and a multiprocessor has registers for at least one block."""
    pytest.importorskip("cupy.cuda.compiler", reason="needs CuPy, for NVRTC")
    found = resources.compiled(architecture)
    assert set(found) == set(emulation.KERNELS)
    for name, kernel in found.items():
        assert (kernel.stack, kernel.spilled) == (0, 0), name
        assert kernel.occupancy > 0, name


def test_what_does_not_compile_is_told_with_nvrtc_s_reason(monkeypatch):
    pytest.importorskip("cupy.cuda.compiler", reason="needs CuPy, for NVRTC")
    monkeypatch.setattr(resources.launcher, "source", lambda: "__global__ void f() { g(); }")
    with pytest.raises(RuntimeError, match='identifier "g" is undefined'):
        resources.compiled("90")
