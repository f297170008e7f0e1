"""A run's folder: its options, networks, metrics and result, and what it resumes from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomli_w

from ..nn import Adam, Module
from ..runtime.files import load_arrays, save_arrays, write_json, write_text
from .config import Config, from_table, read_toml


@dataclass
class Checkpoint:
    """The state of a run after `epoch` epochs of `stage`.

    arrays: of the network and the optimizer. streams: the random streams. facts: what the run has
    found out. metrics: lines of metrics.jsonl written by then.
    """

    stage: str
    epoch: int
    arrays: dict[str, np.ndarray]
    streams: dict
    facts: dict
    metrics: int

    def restore(self, net: Module, optimizer: Adam) -> None:
        """Overwrite the state of both with what was saved."""
        net.load_state_dict(self._part("model/"))
        optimizer.load_state_dict(self._part("optimizer/"))

    def _part(self, prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): a for k, a in self.arrays.items() if k.startswith(prefix)}


class RunFolder:
    """A run's folder, and the names of what lies in it."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.metrics = self.path / "metrics.jsonl"
        self.teacher = self.path / "teacher.safetensors"
        self.pruned = self.path / "pruned.safetensors"
        self.result = self.path / "result.json"
        self._checkpoint = self.path / "checkpoint.safetensors"
        self._stages = self.path / "stages"
        self._lines = 0

    @classmethod
    def create(cls, path: Path, config: Config) -> RunFolder:
        """A new folder. ValueError if there is one already, or none can be made."""
        folder = cls(path)
        try:
            folder.path.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(
                f"the run folder {path} exists: choose another --out, or resume it with "
                f"--resume {path}"
            ) from None
        except OSError as error:
            raise ValueError(f"cannot make the run folder {path}: {error.strerror}") from error
        write_text(folder.config, tomli_w.dumps(config.as_table()))
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A folder that exists. ValueError if it holds no run."""
        folder = cls(path)
        if not folder.config.is_file():
            raise ValueError(f"{path} is not a run folder: it has no config.toml")
        return folder

    def load_config(self) -> Config:
        """The options of the run. ValueError if they cannot be read."""
        return from_table(read_toml(self.config), str(self.config))

    def append_metrics(self, record: dict) -> None:
        """Write one more line of metrics.jsonl."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self._lines += 1

    # --- what a run resumes from

    def save_checkpoint(
        self, stage: str, epoch: int, net: Module, optimizer: Adam, streams: dict, facts: Mapping
    ) -> None:
        """Replace the checkpoint by the state after `epoch` epochs of `stage`."""
        arrays = {f"model/{name}": array for name, array in net.state_dict().items()}
        arrays |= {f"optimizer/{name}": a for name, a in optimizer.state_dict().items()}
        header = {"stage": stage, "epoch": epoch, "streams": streams, "facts": dict(facts)}
        save_arrays(self._checkpoint, arrays, header | {"metrics": self._lines}, "checkpoint")

    def load_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, or None if the run had not finished an epoch.

        Lines that metrics.jsonl got after that point are cut off: they will be written again.
        Temporary files of a process that was killed while it wrote are removed.
        """
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        if not self._checkpoint.exists():
            self._cut_metrics(0)
            return None
        arrays, header = load_arrays(self._checkpoint, "checkpoint")
        try:
            checkpoint = Checkpoint(arrays=arrays, **header)
        except TypeError as error:
            raise ValueError(f"{self._checkpoint} is of another version: {error}") from error
        self._cut_metrics(checkpoint.metrics)
        return checkpoint

    def _cut_metrics(self, lines: int) -> None:
        if self.metrics.exists():
            kept = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
            write_text(self.metrics, "".join(kept))
        self._lines = lines

    def save_stage(self, stage: str, net: Module, streams: dict) -> None:
        """Keep what a stage has trained, until the run is finished."""
        self._stages.mkdir(exist_ok=True)
        path = self._stages / f"{stage}.safetensors"
        save_arrays(path, net.state_dict(), {"streams": streams}, "stage")

    def load_stage(self, stage: str) -> tuple[dict[str, np.ndarray], dict] | None:
        """(arrays, random streams) after a stage that has ended; None if it has not."""
        path = self._stages / f"{stage}.safetensors"
        if not path.exists():
            return None
        arrays, header = load_arrays(path, "stage")
        return arrays, header["streams"]

    def finish(self, result: dict) -> None:
        """Write the result, and remove what only a resumed run needs."""
        write_json(self.result, result)
        self._checkpoint.unlink(missing_ok=True)
        shutil.rmtree(self._stages, ignore_errors=True)


def free_folder(root: Path, name: str) -> Path:
    """root/name, or root/name-2, -3, ... if that exists."""
    candidates = (root / (name if k == 1 else f"{name}-{k}") for k in range(1, 10**6))
    return next(path for path in candidates if not path.exists())
