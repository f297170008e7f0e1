"""Rows of runs that nobody trained, and a reader of pages."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from tinybar.sweep.table import row, update

VOLUME, FLOPS = 1600, 64000
VOID = {"meta", "img", "link", "br", "path", "use", "rect"}


def result(method="bar", factor=4.0, seed=0, accuracy=0.9, **other) -> dict:
    """A result.json: V by the factor, FLOPs by its square."""
    return {
        "method": method, "model": "wrn-10-1", "dataset": "digits", "seed": seed, "device": "cpu",
        "metric": "volume", "budget": int(VOLUME / factor), "cost": int(VOLUME / factor),
        "volume_full": VOLUME, "volume": int(VOLUME / factor),
        "volume_regular": int(2 * VOLUME / factor), "volume_factor": factor,
        "flops_full": FLOPS, "flops": int(FLOPS / factor**2),
        "flops_regular": int(FLOPS / factor**2), "flop_factor": factor**2,
        "params_full": 500, "params": 100, "dropped": 3, "reopened": 1,
        "accuracy_teacher": 0.95, "accuracy_hard": 0.5, "accuracy": accuracy, "warnings": [],
        "training_flops": 1e9, "seconds": 10.0, "latency_full_ms": 2.0, "latency_ms": 1.0,
    } | other  # fmt: skip


def sweep(
    folder: Path,
    accuracy: Callable[..., float],
    methods=("bar", "magnitude"),
    factors=(4, 16),
    seeds=(0, 1, 2),
    **keys: list,
) -> Path:
    """The folder of a sweep. accuracy: of (method, factor, seed, **value of each key)."""
    combinations = [{}]
    for key, values in keys.items():
        combinations = [c | {key: value} for c in combinations for value in values]
    rows = []
    for m in methods:
        for f in factors:
            for s in seeds:
                for c in combinations:
                    outcome = result(m, f, s, accuracy(m, f, s, **c))
                    outcome |= {k: v for k, v in c.items() if k in outcome}
                    name = f"{m}-{f}x-{s}" + "".join(f"-{v}" for v in c.values())
                    asked = {"method": m, "budget": f"{f}x", "seed": s, **c}
                    rows.append(row(name, asked, outcome))
    folder.mkdir(parents=True, exist_ok=True)
    update(folder / "results.csv", rows)
    return folder


class Page(HTMLParser):
    """text: what a reader sees. tags: (name, attributes) of all elements. scripts: their text.

    AssertionError for a page whose elements are not closed in order.
    """

    def __init__(self, content: str):
        super().__init__()
        self.content, self.tags, self.scripts, self._open, self._text = content, [], [], [], []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name not in VOID or self.get_starttag_text().startswith("<p"):
            self._open.append(name)

    def handle_startendtag(self, name, attributes):
        self.tags.append((name, dict(attributes)))

    def handle_endtag(self, name):
        if name in VOID and name not in self._open:
            return
        assert self._open.pop() == name

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif not self._open or self._open[-1] != "style":
            self._text.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._text))

    def check(self) -> None:
        """One script, nothing to load, no address but the names of XML's spaces."""
        assert [name for name, _ in self.tags].count("script") == 1
        assert len(self.scripts) == 1
        for name, attributes in self.tags:
            for key, value in attributes.items():
                assert not key.startswith("on"), (name, key)
                if key in ("href", "src", "xlink:href"):
                    assert value.startswith(("#", "data:image/png;base64,"))
                assert "http" not in (value or "") or key.startswith("xmlns"), (name, key, value)
        assert "mathdefault" not in self.content  # of a label that nobody typeset
        identifiers = [a["id"] for _, a in self.tags if "id" in a]
        assert len(identifiers) == len(set(identifiers))
        targets = {a["xlink:href"][1:] for _, a in self.tags if "xlink:href" in a}
        targets |= set(re.findall(r"url\(#([^)]+)\)", self.content))
        assert targets <= set(identifiers)
