"""What a run measures, as event files for TensorBoard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import tomli_w

from ..train.config import Config
from ..train.folder import RunFolder


def check_installed() -> None:
    """ValueError where tensorboardX is missing, before a run has begun."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "--tensorboard needs tensorboardX: pip install 'tinybar[tensorboard]'"
        ) from error


class EventFiles:
    """The lines of metrics.jsonl, which must be there when it is called, in RUN/tensorboard.

    Each process writes them anew, from the first line on: metrics.jsonl is cut where a run resumes,
    so no epoch is there twice. Tags are STAGE/NAME; steps are epochs of the whole run. Written by
    the thread that trains, not by one of tensorboardX's: a full disk is an OSError, as elsewhere.
    Use as a context.
    """

    def __init__(self, folder: RunFolder, config: Config):
        self.metrics: Path = folder.metrics
        self.path: Path = folder.path / "tensorboard"
        self.config = config
        self.writer: Any = None  # until metrics.jsonl has been cut
        self.epochs: int = 0

    def __enter__(self) -> EventFiles:
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def __call__(self, _: dict[str, Any]) -> None:
        """An epoch was trained."""
        self._catch_up()

    def finish(self, result: dict[str, Any]) -> None:
        """Write the content of result.json, with the options: what runs are compared by."""
        from tensorboardX import summary

        self._catch_up()
        numbers = self._scalars("result", result)
        rows = [f"| {name} | {value} |" for name, value in result.items()]
        self._add(summary.text("result", "\n".join(["| | |", "|---|---|", *rows])))
        options = {k: v if isinstance(v, (bool, int, float)) else str(v)
                   for k, v in self.config.as_table().items()}  # fmt: skip
        for part in summary.hparams(options, numbers):
            self._add(part)
        self.writer.flush()

    def _catch_up(self) -> None:
        """Write the lines that metrics.jsonl has got."""
        if self.writer is None:
            self._begin()
        for line in self.metrics.read_text("utf-8").splitlines()[self.epochs :]:
            self.epochs += 1
            record = json.loads(line)
            self._scalars(record.pop("stage"), record)
        self.writer.flush()

    def _begin(self) -> None:
        from tensorboardX import event_file_writer, summary

        self.path.mkdir(exist_ok=True)
        for old in self.path.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = event_file_writer.EventsWriter(str(self.path / "events"))
        lines = tomli_w.dumps(self.config.as_table()).splitlines()
        self._add(summary.text("config", "".join(f"    {line}\n" for line in lines)))  # as code

    def _scalars(self, section: str, values: dict[str, Any]) -> dict[str, Any]:
        """Write those that are numbers; return them by their tags."""
        from tensorboardX import summary

        numbers = {f"{section}/{name}": value for name, value in values.items()
                   if isinstance(value, (int, float)) and name != "epoch"}  # fmt: skip
        for tag, value in numbers.items():
            self._add(summary.scalar(tag, value))
        return numbers

    def _add(self, content) -> None:
        from tensorboardX.proto.event_pb2 import Event

        event = Event(summary=content, step=self.epochs, wall_time=time.time())
        self.writer.write_event(event)
