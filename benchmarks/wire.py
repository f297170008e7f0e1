"""The bytes that cross between processes in a step are those of the theory, and headers.

    pip install -e '.[mpi]' && unshare -rn python benchmarks/wire.py

Steps of a gated wrn-10-1 on the digits, 60 images each. In a network namespace of its own (Linux),
where all that crosses the loopback interface is theirs; shared memory is switched off.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from plan import sent, traffic

from tinybar import nn

STEPS = Path(__file__).resolve().parents[1] / "tests" / "train" / "on_ranks.py"
OVER_TCP = {
    "MPIR_CVAR_CH4_NETMOD": "ofi",
    "MPIR_CVAR_NOLOCAL": "1",
    "FI_PROVIDER": "tcp",
    "FI_TCP_IFACE": "lo",
}


def crossed() -> int:
    """Bytes that were sent over the loopback interface until now."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return int(next(line for line in lines if line.strip().startswith("lo:")).split()[9])


def bytes_of(n: int, steps: int) -> int:
    """Bytes that a run of n processes sends."""
    before = crossed()
    with tempfile.TemporaryDirectory() as folder:
        command = ["mpiexec", "-n", n, sys.executable, STEPS, folder, "--steps", steps]
        subprocess.run(list(map(str, command)), env=os.environ | OVER_TCP, check=True)
    return crossed() - before


def main() -> None:
    """Print the table."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    of = traffic(nn.build("wrn-10-1", 10, (8, 8, 1), nn.HardConcrete))
    added = of.gradients + of.statistics
    print("| processes | added in a step | sent by each: theory | counted |")
    print("|---:|---:|---:|---:|")
    for n in (2, 3):
        counted = (bytes_of(n, 120) - bytes_of(n, 20)) / 100 / n
        print(f"| {n} | {added:,} | {sent(added, n):,.0f} | {counted:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
