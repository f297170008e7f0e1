"""Why a run ends before its end."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """The run cannot continue, or did not reach what was asked of it."""


class DivergenceError(TrainingError):
    """A value is not finite. The last checkpoint is from before."""

    exit_code = 3
