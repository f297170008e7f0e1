"""A case that takes little time, and `tinybar bench` on it."""

import json

from tinybar.bench.case import Case
from tinybar.cli import main

QUICK = ["--batch-size", "4", "--threads", "1", "--seconds", "0.01"]
TINY = ["wrn-10-1", "--image-shape", "8", "8", "3", *QUICK]


def tiny(**changes) -> Case:
    return Case(**{"network": "wrn-10-1", "image_shape": (8, 8, 3), "threads": 1, **changes})


def results(tmp_path, *options) -> dict:
    """What `tinybar bench` writes for --json."""
    file = tmp_path / "bench.json"
    assert main(["bench", *options, "--json", str(file)]) == 0
    return json.loads(file.read_text())
