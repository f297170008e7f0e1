"""The tables of docs/parallel.md are what its commands print."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from plan import communication, main, sent, traffic

from tinybar import nn

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "parallel.md").read_text("utf-8")
COMMANDS = re.findall(r"^`python benchmarks/plan.py (.*)`$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_plans(command):
    made = CliRunner().invoke(main, shlex.split(command))
    assert made.exit_code == 0, made.output
    assert made.output in PAGE


def test_there_are_plans():
    assert len(COMMANDS) == 2


def test_the_model():
    """One sum of 1 MB and none of statistics, on four GPUs: 1.5 MB at 1 GB/s, 2 + 2 latencies."""
    net = nn.build("wrn-10-1", 10, (8, 8, 1))
    one = traffic(net)._replace(gradients=10**6, statistics=0, buckets=1, reductions=0)
    assert sent(10**6, 4) == 1.5e6
    assert communication(one, 4, 1e9, 1e-3) == pytest.approx(1.5e-3 + 4e-3)
    assert communication(one, 1, 1e9, 1e-3) == 0
