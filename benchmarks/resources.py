"""No kernel lacks registers: what NVRTC says of each, for an A100 and an H100. Needs no GPU.

    pip install -e '.[cuda13]' && python benchmarks/resources.py

NVRTC compiles as it does for CuPy. A kernel that spills keeps in memory what does not fit into
registers; one with a stack frame keeps arrays there. Occupancy: the share of a multiprocessor's
2048 threads that its 65536 registers allow, with as many threads in a block as tinybar launches;
registers are given to 32 threads at a time, 256 at once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from common import table

from tinybar.kernels.cuda import launcher

ARCHITECTURES = ("80", "90")
OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # the last two: CuPy's
REPORT = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
    r"(\d+) bytes spill loads.*?Used (\d+) registers(?:.*?(\d+) bytes smem)?[^\n]*\n",
    re.DOTALL,
)


class Resources(NamedTuple):
    """Registers of a thread, bytes of its stack frame and its spills, bytes shared by a block."""

    registers: int
    stack: int
    spilled: int
    shared: int

    @property
    def occupancy(self) -> float:
        """The share of a multiprocessor's threads that its registers allow."""
        warps_of_block = launcher.THREADS // 32
        registers_of_warp = -(-32 * self.registers // 256) * 256
        blocks = 65536 // registers_of_warp // warps_of_block
        return min(1.0, blocks * launcher.THREADS / 2048)


def compiled(architecture: str) -> dict[str, Resources]:
    """The resources of each kernel. RuntimeError, with NVRTC's log, if one does not compile."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(launcher.source(), "kernels.cu", (), ())
    try:
        target = (f"-arch=sm_{architecture}", "--ptxas-options=-v")
        nvrtc.compileProgram(program, (*OPTIONS, *target))
        return read(nvrtc.getProgramLog(program))
    except nvrtc.NVRTCError as error:
        raise RuntimeError(nvrtc.getProgramLog(program)) from error
    finally:
        nvrtc.destroyProgram(program)


def read(log: str) -> dict[str, Resources]:
    """What the assembler reports of each kernel."""
    found = {}
    for name, stack, stores, loads, registers, shared in REPORT.findall(log):
        spilled = int(stores) + int(loads)
        found[name] = Resources(int(registers), int(stack), spilled, int(shared or 0))
    return found


def page(found: dict[str, dict[str, Resources]]) -> str:
    """A table of all kernels. found: by architecture."""
    headings = ["kernel"]
    for architecture in found:
        headings += [f"sm_{architecture}: registers", "stack", "spilled", "occupancy"]
    rows = []
    for name in sorted(next(iter(found.values()))):
        kernels = [of[name] for of in found.values()]
        cells = ((k.registers, k.stack, k.spilled, f"{100 * k.occupancy:.0f} %") for k in kernels)
        rows.append([f"`{name}`", *(cell for row in cells for cell in row)])
    return table(headings, rows)


if __name__ == "__main__":
    print(page({architecture: compiled(architecture) for architecture in ARCHITECTURES}))
