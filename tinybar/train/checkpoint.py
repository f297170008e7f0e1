"""What a run keeps: its folder, its models, and the point from which it can go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomli_w

from .. import nn
from ..data import Dataset
from ..nn import CompactNetwork, Module, ResidualNetwork
from ..runtime.files import load_arrays, save_arrays, write_json, write_text
from .config import Config, from_table, read_toml

# --- models --------------------------------------------------------------------------------------


def save_model(path: Path, model: Module, dataset: Dataset) -> None:
    """The network with all that is needed to use it: its structure, classes and normalisation."""
    save_arrays(path, model.state_dict(), {"network": structure(model), "data": about(dataset)})


def load_model(path: Path) -> tuple[Module, dict]:
    """(network in evaluation mode, what the file says of its data). ValueError if unusable."""
    arrays, header = load_arrays(Path(path))
    try:
        model = rebuild(header["network"])
        model.load_state_dict(arrays)
        return model.eval(), header["data"]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path} holds no network that tinybar can use: {error}") from error


def structure(model: Module) -> dict:
    """What `rebuild` needs, fit for JSON."""
    if isinstance(model, CompactNetwork):
        return {"kind": "compact", "layout": model.layout}
    return {
        "kind": "full",
        "name": model.name,
        "num_classes": model.num_classes,
        "image_shape": list(model.image_shape),
        "gated": model.stem_gate is not None,
    }


def rebuild(description: dict) -> ResidualNetwork:
    """A network of that structure, with random weights."""
    if description["kind"] == "compact":
        return nn.compact_network(description["layout"])
    gate = nn.HardConcrete if description["gated"] else None
    shape = description["num_classes"], tuple(description["image_shape"])
    return nn.build(description["name"], *shape, gate)


def about(dataset: Dataset) -> dict:
    """How images become input and outputs become classes."""
    return {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "mean": dataset.mean.tolist(),
        "std": dataset.std.tolist(),
        "scale": dataset.scale,
    }


# --- the run's folder ----------------------------------------------------------------------------


@dataclass
class Progress:
    """A point from which a run can go on: after `epoch` epochs of `stage`.

    facts: what earlier stages found out. metrics: lines of metrics.jsonl written by then.
    """

    stage: str
    epoch: int
    arrays: dict[str, np.ndarray]
    network: dict
    streams: dict
    facts: dict
    metrics: int

    def part(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of "model" or of "optimizer"."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


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
        self._lines = 0

    @classmethod
    def create(cls, path: Path, config: Config) -> RunFolder:
        """A new folder. ValueError if there is one already, or none can be made."""
        folder = cls(path)
        try:
            folder.path.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(
                f"the run folder {path} exists: choose another --out, or go on with --resume {path}"
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
        return from_table(read_toml(self.config), str(self.config))

    def append_metrics(self, record: dict) -> None:
        """One more line of metrics.jsonl."""
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self._lines += 1

    def save_progress(self, stage: str, epoch: int, model, optimizer, streams, facts) -> None:
        arrays = {f"model/{name}": array for name, array in model.state_dict().items()}
        arrays |= {f"optimizer/{name}": a for name, a in optimizer.state_dict().items()}
        header = {
            "stage": stage,
            "epoch": epoch,
            "network": structure(model),
            "streams": streams,
            "facts": facts,
            "metrics": self._lines,
        }
        save_arrays(self._checkpoint, arrays, header)

    def load_progress(self) -> Progress | None:
        """Where the run stopped, or None if it had not finished an epoch.

        Lines that metrics.jsonl got after that point are cut off: they will be written again.
        Temporary files of a process that was killed while it wrote are removed.
        """
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        if not self._checkpoint.exists():
            self._cut_metrics(0)
            return None
        arrays, header = load_arrays(self._checkpoint)
        try:
            progress = Progress(arrays=arrays, **header)
        except TypeError as error:
            raise ValueError(f"{self._checkpoint} is of another version: {error}") from error
        self._cut_metrics(progress.metrics)
        return progress

    def _cut_metrics(self, lines: int) -> None:
        if self.metrics.exists():
            kept = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]
            write_text(self.metrics, "".join(kept))
        self._lines = lines

    def finish(self, result: dict) -> None:
        """Write the result; the checkpoint has served."""
        write_json(self.result, result)
        self._checkpoint.unlink(missing_ok=True)


def free_folder(root: Path, name: str) -> Path:
    """root/name, or root/name-2, -3, ... if that exists."""
    candidates = (root / (name if k == 1 else f"{name}-{k}") for k in range(1, 10**6))
    return next(path for path in candidates if not path.exists())
