"""The README's figure: what happened in a run. Needs matplotlib; writes run.svg beside this file.

python docs/figures/run.py RUN
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path

import matplotlib.pyplot as plt

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#777777"


def main(run: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((run / "result.json").read_text())
    plt.rcParams |= {"font.size": 10, "svg.hashsalt": "tinybar", "svg.fonttype": "none"}
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    epochs = range(1, len(records) + 1)

    top.plot(epochs, [r["volume"] for r in records], color=BLUE, lw=2, label="volume V")
    barrier = [(e, r["b"]) for e, r in zip(epochs, records, strict=True) if r["b"] is not None]
    top.plot(*zip(*barrier, strict=True), color=ORANGE, ls="--", label="budget b of the epoch")
    top.axhline(result["budget"], color=ORANGE, lw=1, label=f"budget B = {result['budget']:,}")
    top.set_ylabel("neurons")
    top.set_ylim(0, 1.25 * result["volume_full"])
    top.legend(loc="upper right", frameon=False)

    bottom.plot(epochs, [100 * r["accuracy_train"] for r in records], color=GREY, label="training")
    bottom.plot(epochs, [100 * r["accuracy_test"] for r in records], color=BLUE, lw=2, label="test")
    bottom.set_ylabel("accuracy (%)")
    bottom.set_xlabel("epoch")
    bottom.legend(loc="lower right", frameon=False)

    start = 0
    for stage, members in groupby(records, key=lambda r: r["stage"]):
        length = len(list(members))
        for axes in (top, bottom):
            axes.axvline(start + 0.5, color=GREY, lw=0.5)
        top.text(start + 1, 1.02, stage, color=GREY, transform=top.get_xaxis_transform())
        start += length
    figure.suptitle(
        f"{result['model']} on {result['dataset']}: {result['volume_factor']:.1f} times smaller, "
        f"accuracy {100 * result['accuracy']:.1f} % "
        f"(teacher {100 * result['accuracy_teacher']:.1f} %)"
    )
    figure.savefig(Path(__file__).with_name("run.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
