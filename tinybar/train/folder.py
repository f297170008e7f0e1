"""A run's folder: its options, networks, metrics and result, and what it resumes from."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import numpy as np
import tomli_w

from ..data import Dataset
from ..nn import Adam, Module
from ..nn.networks.residual import ResidualNetwork
from ..runtime.files import (
    FileError,
    load_arrays,
    reading,
    save_arrays,
    write_json,
    write_text,
    write_whole,
    writing,
)
from ..runtime.locks import LockedError, locked
from .config import Config, from_table, read_toml, reconfigure
from .models import save_model

END = "# end of the options"  # the last line of config.toml: without it, some of them may be lost
TEMPORARY = ".*.tmp"  # what a process leaves that is killed while it writes


@dataclass
class Checkpoint:
    """The state of a run in the middle of `stage`, from the file `path`.

    arrays: of the network and the optimizer. progress: of the epoch, `loop.Progress.state`.
    streams: the random streams. facts: what the run has found out. config, data: its options, and
    the fingerprint of its data set. metrics: lines of metrics.jsonl written by then. penalty: what
    the stage's penalty remembers; [] for most.
    """

    path: Path
    stage: str
    arrays: dict[str, np.ndarray]
    progress: dict[str, Any]
    streams: dict[str, Any]
    facts: dict[str, Any]
    config: dict[str, Any]
    data: str
    metrics: int
    penalty: list[Any] = field(default_factory=list)

    def restore(self, net: Module, optimizer: Adam) -> None:
        """Overwrite the state of both with what was saved. FileError if it is of others."""
        try:
            net.load_state_dict(self._part("model/"))
            optimizer.load_state_dict(self._part("optimizer/"))
        except (KeyError, ValueError) as error:
            raise FileError(f"{self.path} does not fit stage {self.stage!r}: {error}") from error

    def _part(self, prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): a for k, a in self.arrays.items() if k.startswith(prefix)}


class RunFolder:
    """A run's folder, and the names of what lies in it.

    tell: is called with a line about what was lost; the run can do without.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] = warnings.warn):
        self.tell = tell
        self.path: Path = Path(path)
        self.config: Path = self.path / "config.toml"
        self.metrics: Path = self.path / "metrics.jsonl"
        self.teacher: Path = self.path / "teacher.safetensors"
        self.pruned: Path = self.path / "pruned.safetensors"
        self.result: Path = self.path / "result.json"
        self._checkpoint = self.path / "checkpoint.safetensors"
        self._before = self.path / "checkpoint-before.safetensors"
        self._stages = self.path / "stages"
        self._lines = 0

    @classmethod
    def create(cls, path: Path, config: Config) -> RunFolder:
        """A new folder, or one that is empty. ValueError if it is not, or none can be made."""
        folder = cls(path)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._check_empty()
            with folder.locked():
                folder._check_empty()
                folder._write_config(config)
        except FileExistsError:
            raise ValueError(f"{path} is a file: choose another --out") from None
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(f"cannot make the run folder {path}: {reason}") from error
        return folder

    def _check_empty(self) -> None:
        if self.config.exists():
            raise ValueError(
                f"the run folder {self.path} exists: choose another --out, or resume it with "
                f"--resume {self.path}"
            )
        if not self._is_empty():
            raise ValueError(f"the folder {self.path} is not empty: choose another --out")

    def _is_empty(self) -> bool:
        """Whether it is there, with nothing in it but what a killed process leaves."""
        own = {self.path / "lock", *self.path.glob(TEMPORARY)}
        return self.path.is_dir() and not set(self.path.iterdir()) - own

    @classmethod
    def open(cls, path: Path, tell: Callable[[str], None] = warnings.warn) -> RunFolder:
        """A folder that exists. ValueError if it holds no run."""
        folder = cls(path, tell)
        if not folder.config.is_file():
            hint = f"; begin a run in it with --out {path}" if folder._is_empty() else ""
            raise ValueError(f"{path} is not a run folder: it has no config.toml{hint}")
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the run in the block. ValueError if one has it."""
        try:
            with locked(self.path / "lock"):
                yield
        except LockedError as error:
            raise ValueError(
                f"the run in {self.path} is in use by process {error.pid}: wait for its end, or "
                "stop it"
            ) from None

    def load_config(self) -> Config:
        """The options of the run. ValueError if they cannot be read."""
        config = from_table(read_toml(self.config), str(self.config))
        if not self.config.read_bytes().rstrip().endswith(END.encode()):
            raise FileError(
                f"{self.config} is truncated or damaged: its last line, {END!r}, is gone"
            )
        return config

    def config_to_resume(
        self, given: dict[str, Any], preset: str | None, out: Path | None
    ) -> Config:
        """The options of a run that goes on, with those given that may change.

        out: where it was asked to be. ValueError if it is complete, or if options differ.
        """
        if self.result.exists():
            self.clean()
            raise ValueError(f"the run in {self.path} is complete: see {self.result}")
        if out is not None and out.resolve() != self.path.resolve():
            raise ValueError(f"--out is {out}, but the run to resume is in {self.path}")
        return reconfigure(self.load_config(), given, preset)

    def save_config(self, config: Config) -> None:
        """Write the options, if they are not those in the folder."""
        if config != self.load_config():
            self._write_config(config)

    def _write_config(self, config: Config) -> None:
        write_text(self.config, f"{tomli_w.dumps(config.as_table())}{END}\n")

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Write one more line of metrics.jsonl."""
        with writing(self.metrics), open(self.metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())  # a checkpoint counts on it
        self._lines += 1

    # --- what a run resumes from

    def save_checkpoint(self, net: Module, optimizer: Adam, about: Mapping[str, Any]) -> None:
        """Write a checkpoint; the last one is kept beside it.

        about: the fields of `Checkpoint`, but for arrays and metrics.
        """
        arrays = {f"model/{name}": array for name, array in net.state_dict().items()}
        arrays |= {f"optimizer/{name}": a for name, a in optimizer.state_dict().items()}
        if self._checkpoint.exists():
            os.replace(self._checkpoint, self._before)
        save_arrays(self._checkpoint, arrays, {**about, "metrics": self._lines}, "checkpoint")

    def load_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that is whole, or None if there was none yet.

        A damaged one is told, and removed. Lines that metrics.jsonl got after that point
        are cut off: they will be written again. Temporary files of a process that was killed while
        it wrote are removed. Raises FileError if no checkpoint is whole.
        """
        for leftover in self.path.rglob(TEMPORARY):
            leftover.unlink(missing_ok=True)
        try:
            checkpoint = _if_there(self._checkpoint) or _if_there(self._before)
        except FileError as error:
            if not self._before.exists() or not self._checkpoint.exists():
                raise
            checkpoint = _if_there(self._before)
            self.tell(f"{error}; going on from the one before it")
            self._checkpoint.unlink()  # it must not take the place of the one before
        self._cut_metrics(checkpoint.metrics if checkpoint else 0)
        return checkpoint

    def _cut_metrics(self, lines: int) -> None:
        there = self.metrics.read_bytes().splitlines(keepends=True) if self.metrics.exists() else []
        if len(there) < lines:
            self.tell(f"{self.metrics} has lost {lines - len(there)} of {lines} lines")
        if len(there) > lines:
            kept = b"".join(there[:lines])
            write_whole(self.metrics, lambda temporary: temporary.write_bytes(kept))
        self._lines = min(lines, len(there))

    def save_stage(self, stage: str, net: Module, streams: dict[str, Any]) -> None:
        """Keep what a stage has trained, until the run is finished."""
        self._stages.mkdir(exist_ok=True)
        save_arrays(self.stage_path(stage), net.state_dict(), {"streams": streams}, "stage")

    def stage_path(self, stage: str) -> Path:
        """Where that is kept."""
        return self._stages / f"{stage}.safetensors"

    def load_stage(self, stage: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """(arrays, random streams) after a stage that has ended; None if it has not."""
        path = self.stage_path(stage)
        return stage_in(path) if path.exists() else None

    def save_network(self, path: Path, net: ResidualNetwork, dataset: Dataset) -> None:
        """Write a network, trained or pruned, with what it says of its data."""
        save_model(path, net, dataset)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, and remove what only a resumed run needs."""
        write_json(self.result, result)
        self.clean()

    def clean(self) -> None:
        """Remove what only a resumed run needs, as a run that is killed at its end cannot."""
        self._checkpoint.unlink(missing_ok=True)
        self._before.unlink(missing_ok=True)
        shutil.rmtree(self._stages, ignore_errors=True)


def _if_there(path: Path) -> Checkpoint | None:
    return checkpoint_in(path) if path.exists() else None


def stage_in(
    path: Path, content: bytes | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, random streams) in a file of a stage. content: of the file, where it was read."""
    arrays, header = load_arrays(path, "stage", content)
    with reading(path):
        return arrays, header["streams"]


def checkpoint_in(path: Path, content: bytes | None = None) -> Checkpoint:
    """The checkpoint in a file. content: of the file, where it was read."""
    arrays, header = load_arrays(path, "checkpoint", content)
    types = get_type_hints(Checkpoint)
    for name, value in header.items():
        kind = types.get(name, object)
        if not isinstance(value, get_origin(kind) or kind):
            raise FileError(f"{path} is truncated or damaged: {name} is {value!r:.60}")
    try:
        return Checkpoint(path=path, arrays=arrays, **header)
    except TypeError as error:
        raise FileError(f"{path} is of another version: {error}") from error


def free_folder(root: Path, name: str) -> Path:
    """root/name, or root/name-2, -3, ... if that exists."""
    candidates = (root / (name if k == 1 else f"{name}-{k}") for k in range(1, 10**6))
    return next(path for path in candidates if not path.exists())
