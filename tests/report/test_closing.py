"""What a run is told with at its end."""

from io import StringIO

import numpy as np
from rich.console import Console

from tinybar import nn
from tinybar.report import closing
from tinybar.report.progress import Display

OUTCOME = {
    "model": "wrn-10-1", "dataset": "toy", "method": "bar", "metric": "volume", "budget": 1000,
    "cost": 900,
    "volume_full": 8000, "volume": 900, "flops_full": 10**9, "flops": 10**7, "params_full": 5000,
    "volume_regular": 1500, "flops_regular": 2 * 10**7,
    "params": 50, "dropped": 2, "reopened": 1, "accuracy_teacher": 0.9, "accuracy": 0.875,
    "latency_full_ms": 4.0, "latency_ms": 0.5, "latency_batch": 64,
}  # fmt: skip
FEATURES = [
    ("stem", 3, 16, 64),
    ("blocks.0.conv1", 0, 16, 64),
    ("blocks.0.conv2", 0, 16, 64),
    ("blocks.1.shortcut", 1, 32, 16),
    ("blocks.1.conv1", 16, 32, 16),
    ("blocks.1.conv2", 32, 32, 16),
]


def rendered(content) -> list[str]:
    console = Console(file=StringIO(), width=120)
    console.print(content)
    return console.file.getvalue().splitlines()


def line_with(text: str, lines: list[str]) -> str:
    found = [line for line in lines if text in line]
    assert len(found) == 1, (text, lines)
    return found[0]


def test_the_comparison():
    lines = rendered(closing.comparison(OUTCOME))
    assert "wrn-10-1 on toy, bar" in lines[0]
    for text in ("90.00 %", "87.50 %", "-2.50 points"):
        assert text in line_with("test accuracy", lines)
    for text in ("8,000", "900", "8.9x less"):
        assert text in line_with("volume (neurons)", lines)
    assert "100.0x less" in line_with("FLOPs", lines)
    assert "100.0x less" in line_with("parameters", lines)
    for text in ("batch 64", "4.00", "0.50", "8.0x less"):
        assert text in line_with("latency", lines)


def test_what_regular_blocks_would_take():
    told = closing.connectivity(OUTCOME)
    assert told.endswith("volume 1,500 (40 % saved), FLOPs 20,000,000 (50 % saved)")


def test_removed_blocks_are_named():
    lines = rendered(closing.features_table(FEATURES))
    assert "block removed" in line_with("blocks.0.conv1", lines)
    assert "block removed" in line_with("blocks.0.conv2", lines)
    assert sum("block removed" in line for line in lines) == 2
    assert "█" * 20 in line_with("blocks.1.conv2", lines)
    assert line_with("blocks.1.conv1", lines).count("█") == 10


def test_the_verdict():
    def verdict(**changes):
        return " ".join(rendered(closing.closing(OUTCOME | changes, FEATURES))[-2:])

    kept = "budget kept: volume 900 of 1,000 (90.0 %), after training 2 features dropped"
    assert kept in verdict()
    assert "budget kept" in verdict(cost=1000)
    assert "OVER BUDGET: volume 1,001 of 1,000" in verdict(cost=1001)
    assert "OVER BUDGET: flops 10,000,000 of 1,000" in verdict(metric="flops", cost=10_000_000)


def test_peak_memory_in_a_line():
    def said(host, device):
        return closing.peak_memory({"peak_bytes": host, "peak_device_bytes": device})

    assert said(3 * 2**19, None) == "peak memory: 2 MiB on the host"
    assert said(2**31, 2**20) == "peak memory: 2,048 MiB on the host, 1 MiB on the device"
    assert said(None, None) == "peak memory: unknown on this system"


def test_latencies_are_of_each_model_in_evaluation_mode():
    class Counted(nn.Module):
        calls = 0

        def forward(self, x):
            assert not self.training
            self.calls += 1
            return x @ x

    models = [Counted(), Counted()]
    found = closing.latencies(models, np.ones((40, 40), np.float32), seconds=0.0)
    assert [model.calls for model in models] == [7, 7]  # two to warm up, five rounds
    assert all(milliseconds > 0 for milliseconds in found)


def shown(*records, budget=100) -> list[str]:
    console = Console(file=StringIO(), width=120)
    with Display(console, budget, "volume") as display:
        for record in records:
            display(record)
    return console.file.getvalue().splitlines()


def record(**changes) -> dict:
    base = {"stage": "prune", "epoch": 1, "epochs": 40, "loss": 1.25, "accuracy_test": 0.5}
    return base | {"volume": 1234, "b": 987.6} | changes


def test_without_a_terminal_there_is_a_line_for_every_tenth():
    lines = shown(*(record(epoch=epoch) for epoch in range(1, 41)))
    assert [line.split()[1] for line in lines] == [
        f"{epoch}/40" for epoch in (1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40)
    ]
    assert "loss 1.25" in lines[0]
    assert "accuracy 50.00 %" in lines[0]
    assert "V 1,234  b 988  B 100" in lines[0]


def test_without_a_barrier_no_b_is_shown():
    (line,) = shown(record(b=None, stage="teacher", epochs=1))
    assert "B 100" not in line
    assert "teacher" in line


def test_on_a_terminal_there_is_a_bar_for_every_stage():
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with Display(console, 100, "flops") as display:
        display(record(stage="teacher", b=None))
        display(record(epoch=7))
        assert set(display.tasks) == {"teacher", "prune"}
        (task,) = [t for t in display.bars.tasks if t.description == "prune"]
        assert (task.completed, task.total) == (7, 40)
        assert "F 1,234" in task.fields["numbers"]
