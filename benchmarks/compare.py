"""Is tinybar as fast as PyTorch, HIPS autograd and tinygrad? `tinybar bench` with them as peers.

    pip install -e '.[bench,fast]'
    python benchmarks/compare.py                                  # a training step of wrn-16-1
    python benchmarks/compare.py wrn-28-12 --batch-size 16 --gated --peers torch,tinybar-numpy
    python benchmarks/compare.py wrn-16-4 --layers                # every convolution
    python benchmarks/compare.py small                            # a network that all can train

Options and output are those of `tinybar bench`. Peers: torch, autograd, tinygrad (which compiles
with clang), onnxruntime, tinybar-numpy; those that are installed and can run the case if unset.
"""

from __future__ import annotations

import sys

from peers import register

from tinybar import cli


def main(arguments: list[str]) -> int:
    """Run it; returns the exit code."""
    register()
    return cli.main(["bench", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
