"""No kernel lacks registers: what NVRTC says of each, for an A100 and an H100. Needs no GPU.

    pip install -e '.[cuda13]' && python benchmarks/resources.py

NVRTC compiles as it does for CuPy. Results: results/kernels.md.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from common import RESULTS, table

from tinybar.kernels.cuda import launcher
from tinybar.runtime.files import write_text

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
        """The share of a multiprocessor's 2048 threads that its 65536 registers allow.

        32 threads get registers together, 256 at a time.
        """
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


def page(found: dict[str, dict[str, Resources]], compiler: str) -> str:
    """All kernels in a table. found: by architecture."""
    headings = ["kernel"]
    for architecture in found:
        headings += [f"sm_{architecture}: registers", "stack", "spilled", "shared", "occupancy"]
    rows = []
    for name in sorted(next(iter(found.values()))):
        kernels = [of[name] for of in found.values()]
        cells = ((*kernel, f"{100 * kernel.occupancy:.0f} %") for kernel in kernels)
        rows.append([f"`{name}`", *(cell for row in cells for cell in row)])
    return f"""# What the kernels take of a GPU

`python benchmarks/resources.py`, {compiler}, on a machine without a GPU, with
`{" ".join(OPTIONS)}`: what the assembler reports.
Registers of a thread; bytes of its stack frame, where arrays are that are indexed at run time;
bytes that it stores and loads for want of registers; bytes that a block shares. Occupancy: the
share of a multiprocessor's threads that the registers allow, in blocks of {launcher.THREADS}.

{table(headings, rows)}
"""


def main() -> None:
    from cupy.cuda import nvrtc

    compiler = "NVRTC {}.{}".format(*nvrtc.getVersion())
    found = {architecture: compiled(architecture) for architecture in ARCHITECTURES}
    text = page(found, compiler)
    write_text(RESULTS / "kernels.md", text)
    print(text)


if __name__ == "__main__":
    main()
