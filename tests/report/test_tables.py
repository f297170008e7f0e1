"""Tables of a run's result, and of the audit."""

import math
from collections import Counter
from io import StringIO

import pytest

from tinybar.audit import Row
from tinybar.report import tables
from tinybar.report.terminal import PlainConsole

OUTCOME = {
    "model": "wrn-10-1", "dataset": "toy", "method": "bar", "metric": "volume", "budget": 1000,
    "cost": 900,
    "volume_full": 8000, "volume": 900, "flops_full": 10**9, "flops": 10**7, "params_full": 5000,
    "volume_regular": 1500, "flops_regular": 2 * 10**7,
    "params": 50, "dropped": 2, "reopened": 1, "accuracy_teacher": 0.9, "accuracy": 0.875,
    "latency_full_ms": 4.0, "latency_ms": 0.5, "latency_batch": 64, "warnings": [],
}  # fmt: skip
CHANNELS = [
    ("stem", 3, 16, 64),
    ("blocks.0.conv1", 0, 16, 64),
    ("blocks.0.conv2", 0, 16, 64),
    ("blocks.1.shortcut", 1, 32, 16),
    ("blocks.1.conv1", 16, 32, 16),
    ("blocks.1.conv2", 32, 32, 16),
]


def rendered(content, width=120) -> list[str]:
    console = PlainConsole(file=StringIO(), width=width)
    console.print(content)
    return console.file.getvalue().splitlines()


def line_with(text: str, lines: list[str]) -> str:
    (found,) = [line for line in lines if text in line]
    return found


def test_the_comparison():
    lines = rendered(tables.comparison(OUTCOME))
    assert "wrn-10-1 on toy, bar" in lines[0]
    for text in ("90.00 %", "87.50 %", "-2.50 points"):
        assert text in line_with("test accuracy", lines)
    for text in ("8,000", "900", "8.9x less"):
        assert text in line_with("volume (neurons)", lines)
    assert "100.0x less" in line_with("FLOPs", lines)
    assert "100.0x less" in line_with("parameters", lines)
    for text in ("batch size 64", "4.00", "0.50", "8.0x less"):
        assert text in line_with("latency", lines)


def test_what_mixed_connectivity_saves():
    saving = "saves 40 % of the 1,500 neurons and 50 % of the 20,000,000 FLOPs of regular blocks"
    assert tables.saving(OUTCOME).endswith(saving)


def test_removed_blocks_are_named():
    lines = rendered(tables.channels_table(CHANNELS))
    assert "block removed" in line_with("blocks.0.conv1", lines)
    assert "block removed" in line_with("blocks.0.conv2", lines)
    assert sum("block removed" in line for line in lines) == 2
    assert "█" * 20 in line_with("blocks.1.conv2", lines)
    assert line_with("blocks.1.conv1", lines).count("█") == 10


def test_the_verdict():
    def verdict(**changes):
        return rendered(tables.result_tables(OUTCOME | changes, CHANNELS))[-2:]

    corrections, kept = verdict()
    assert "closed 2 more channels to keep the budget and reopened 1" in corrections
    assert kept == "budget kept: volume 900 of 1,000 (90.0 %)"
    assert "budget kept" in verdict(cost=1000)[1]
    assert "OVER BUDGET: volume 1,001 of 1,000" in verdict(cost=1001)[1]
    over = verdict(metric="flops", cost=10_000_000)[1]
    assert "OVER BUDGET: flops 10,000,000 of 1,000" in over


def test_what_uniform_widths_have_none_of_is_not_told():
    def text(**changes):
        return "\n".join(rendered(tables.result_tables(OUTCOME | changes, CHANNELS)))

    assert "mixed connectivity saves 40 %" in text()
    assert "mixed connectivity" not in text(volume_regular=900, flops_regular=10**7)
    assert "hard pruning closed" in text(dropped=0)
    assert "hard pruning closed" in text(reopened=0)
    assert "hard pruning" not in text(dropped=0, reopened=0)


def test_the_peak_memory():
    def line(host, device):
        return tables.peak_memory({"peak_bytes": host, "peak_device_bytes": device})

    assert line(3 * 2**19, None) == "peak memory: 2 MiB on the host"
    assert line(2**31, 2**20) == "peak memory: 2,048 MiB on the host, 1 MiB on the device"
    assert line(None, None) == "peak memory: unknown on this system"


GOOD = Row("gates", "a check [bold]with markup[/]", "Eq. 5", 1e-13, 1e-12, True, "By hand.")
BAD = Row("costs", "another", "Supp. Eq. 1", math.inf, 0.0, False, "ValueError: [red] no")


def test_the_audit():
    text = rendered(tables.audit_table([GOOD, BAD]), 100)
    lines = [line.split() for line in text]
    assert ["gates"] in lines
    assert ["costs"] in lines
    row = next(line for line in lines if line[:2] == ["a", "check"])
    assert "[bold]with markup[/]" in "\n".join(text)
    assert row[-3:] == ["1.0e-13", "1e-12", "pass"]
    failing = next(line for line in lines if line[:1] == ["another"])
    assert failing[-3:] == ["inf", "0e+00", "FAIL"]
    assert "FAIL costs: another: ValueError: [red] no" in text
    assert any(line.startswith("2 checks, 1 failed, device ") for line in text)


@pytest.mark.parametrize("width", [40, 60])
def test_the_audit_keeps_its_numbers_on_a_narrow_terminal(width):
    lines = rendered(tables.audit_table([GOOD]), width)
    assert line_with("pass", lines).split()[-3:] == ["1.0e-13", "1e-12", "pass"]


def test_the_summary_of_the_audit_names_the_device():
    assert tables.audit_summary([GOOD, GOOD]).startswith("2 checks, 0 failed, device ")
    assert "(cpu)" in tables.audit_summary([])


LAYER = {"name": "blocks.11.conv2", "kernel": [3, 3], "reads": 768, "writes": 768, "area": 10**6}
SYSTEM = {
    "blas": "x" * 300,
    "packages": {"numpy": "1.2.3"},
    "memory": {"total": 2**34, "available": None},
    "gpu": {"gpus": [], "missing": ["CuPy is not installed"]},
}
FACTS = {
    "model": "runs/" + "long" * 30, "image_shape": [128, 128, 3], "params": 10**12,
    "volume": 10**12, "flops": 10**15,
    "layers": [LAYER | {"volume": 10**9, "flops": 10**15, "params": 10**9}] * 60,
}  # fmt: skip
MANY = OUTCOME | {"flops_full": 10**15, "flops": 10**14, "volume_full": 10**12}
WIDE = [("blocks.11.conv2", 10**6, 10**6, 64)] * 3


@pytest.mark.parametrize("width", [20, 40, 60, 80])
@pytest.mark.parametrize(
    "content",
    [
        tables.comparison(MANY),
        tables.channels_table(WIDE),
        tables.result_tables(MANY, WIDE),
        tables.layer_table(FACTS),
        tables.system_table(SYSTEM),
    ],
    ids=["comparison", "channels", "result", "layers", "system"],
)
def test_no_digit_is_cut_off_on_a_narrow_screen(content, width):
    def digits(lines: list[str]) -> Counter:
        return Counter(character for line in lines for character in line if character.isdigit())

    lines = rendered(content, width)
    assert digits(lines) == digits(rendered(content, 500))
    assert max(map(len, lines)) <= width
