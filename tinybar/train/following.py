"""One run on several ranks: rank 0 has its folder, the others follow what it reads there."""

from __future__ import annotations

import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import tomli_w

from ..data import Dataset
from ..runtime import ranks
from .config import Config, from_table
from .folder import Checkpoint, RunFolder, checkpoint_in, stage_in


def same_options(config: Config | None) -> Config:
    """The options that rank 0 has; it alone reads those of a run that is resumed."""
    if ranks.size() == 1 and config is not None:
        return config
    given = b"" if config is None else tomli_w.dumps(config.as_table()).encode()
    return from_table(tomllib.loads(ranks.broadcast_bytes(given).decode()))


def check_same_data(dataset: Dataset) -> None:
    """Raise ValueError if this rank has found other images than rank 0: on another machine, say."""
    if ranks.broadcast_bytes(dataset.fingerprint.encode()).decode() != dataset.fingerprint:
        raise ValueError(f"the images or classes of {dataset.name} differ between the processes")


class Leader(RunFolder):
    """The folder of a run, on rank 0: what is read is told to all."""

    def load_checkpoint(self) -> Checkpoint | None:
        """As `RunFolder.load_checkpoint`."""
        checkpoint = super().load_checkpoint()
        ranks.broadcast_bytes(b"" if checkpoint is None else checkpoint.path.read_bytes())
        return checkpoint

    def load_stage(self, stage: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """As `RunFolder.load_stage`."""
        ended = super().load_stage(stage)
        ranks.broadcast_bytes(b"" if ended is None else self.stage_path(stage).read_bytes())
        return ended


class Follower(RunFolder):
    """The folder of a run, on all other ranks: nothing is written, and rank 0 reads for them."""

    def __init__(self) -> None:
        super().__init__(Path("of rank 0"))

    def locked(self) -> Any:
        """Rank 0 has the lock."""
        return nullcontext()

    def load_checkpoint(self) -> Checkpoint | None:
        """That of rank 0."""
        content = ranks.broadcast_bytes()
        return checkpoint_in(self.path, content) if content else None

    def load_stage(self, stage: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """That of rank 0."""
        content = ranks.broadcast_bytes()
        return stage_in(self.path, content) if content else None

    def _skip(self, *what: Any) -> Any:
        pass

    save_config = save_network = append_metrics = _skip  # type: ignore[assignment]
    save_checkpoint = save_stage = _skip  # type: ignore[assignment]
