"""Everything that decides a run, in one flat table; presets are such tables in TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .. import data, pruning
from ..pruning.methods import METHODS
from ..pruning.schedule import KINDS
from ..runtime.arrays import PRECISIONS

PRESETS = Path(__file__).with_name("presets")


@dataclass(frozen=True)
class Config:
    """The options of a run. The defaults are the paper's (Section 5.1, Supp. 3) where it has one.

    Raises ValueError, naming the option, for a value out of range.
    """

    data: str = "digits"
    image_size: int | None = None  # side that images in files are resized and cut to
    val_fraction: float = 0.0  # of the training images, held out
    augment: bool = True  # whether to train with the data set's augmentation
    model: str = "wrn-16-4"
    method: str = "bar"
    budget: str = "8x"  # a factor, a fraction of the full network, or a number
    metric: str = "volume"
    schedule: str = "sigmoid"
    distill: bool = True
    alpha: float = 0.9  # share of the teacher in the data loss
    temperature: float = 4.0
    lambda_: float | None = None  # None: 2 / V_F
    epochs: tuple[int, int, int] = (80, 40, 10)  # with the barrier, fine-tuning, at lr / 10
    teacher_epochs: int = 90
    teacher_slow_epochs: int | None = None  # the last of them, at lr / 10; None: a ninth of them
    teacher: str | None = None  # weights of the full network, which then is not trained
    init_from_teacher: bool = False  # what is pruned starts with the teacher's weights
    batch_size: int = 64
    lr: float = 1e-3
    gate_lr: float | None = None  # None: max(lr, 32 / iterations with the barrier)
    weight_decay: float = 5e-4
    shrink: bool = False  # skip what was drawn closed: an extension of the paper
    seed: int = 0
    precision: str = "tf32"  # of matrix products on a GPU; a CPU computes in fp32

    def __post_init__(self):
        object.__setattr__(self, "epochs", tuple(self.epochs))
        _one_of("method", self.method, tuple(METHODS))
        _one_of("metric", self.metric, tuple(pruning.COSTS))
        _one_of("schedule", self.schedule, KINDS)
        _one_of("precision", self.precision, PRECISIONS)
        size, share = self.image_size, self.val_fraction
        _in_range("image-size", size, size is None or size >= 1, "at least 1")
        _in_range("val-fraction", share, 0 <= share < 1, "in [0, 1)")
        _in_range("alpha", self.alpha, 0 <= self.alpha <= 1, "in [0, 1]")
        _in_range("temperature", self.temperature, self.temperature >= 1, "at least 1")
        _in_range("lambda", self.lambda_, self.lambda_ is None or self.lambda_ >= 0, "at least 0")
        fits = len(self.epochs) == 3 and min(self.epochs) >= 0 and self.epochs[0] >= 1
        _in_range("epochs", self.epochs, fits, "three numbers >= 0, the first at least 1")
        _in_range("teacher-epochs", self.teacher_epochs, self.teacher_epochs >= 1, "at least 1")
        slow = self.teacher_slow_epochs
        fits = slow is None or 0 <= slow <= self.teacher_epochs
        _in_range("teacher-slow-epochs", slow, fits, "in [0, --teacher-epochs]")
        _in_range("batch-size", self.batch_size, self.batch_size >= 2, "at least 2")
        _in_range("lr", self.lr, self.lr > 0, "positive")
        _in_range("gate-lr", self.gate_lr, self.gate_lr is None or self.gate_lr > 0, "positive")
        _in_range("weight-decay", self.weight_decay, self.weight_decay >= 0, "at least 0")
        _in_range("seed", self.seed, self.seed >= 0, "at least 0")

    def dataset(self, cache_dir: Path) -> data.Dataset:
        """The data set that the run is about, from files in `cache_dir` where it is not embedded.

        Raises ValueError as `data.load`.
        """
        options = {"val_fraction": self.val_fraction, "augment": self.augment, "seed": self.seed}
        return data.load(self.data, cache_dir=cache_dir, image_size=self.image_size, **options)

    def as_table(self) -> dict:
        """The options by their names on the command line, without those left to be worked out."""
        table = {f.name.rstrip("_"): getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in table.items() if value is not None}

    def name(self) -> str:
        """A name for the run's folder."""
        data = Path(self.data).name or "data"
        return f"{data}-{self.model}-{self.method}-{self.budget}-{self.metric}-seed{self.seed}"


def from_table(table: dict, source: str = "options") -> Config:
    """The Config of a table as in TOML. ValueError for an unknown key or a value of wrong type."""
    fields = {f.name.rstrip("_"): f for f in dataclasses.fields(Config)}
    values = {}
    for key, value in table.items():
        key = key.replace("-", "_")
        if key not in fields:
            raise ValueError(f"{source}: unknown option {key!r}")
        values[fields[key].name] = _typed(key, value, source)
    return Config(**values)


def load_preset(name: str) -> dict:
    """The table of the preset called `name`, or in the TOML file of that name."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise ValueError(f"unknown preset {name!r}: use {known}, or the path of a .toml file")
    return read_toml(path)


def read_toml(path: Path) -> dict:
    """The table in a TOML file; ValueError, in one line, where it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error


_INTEGERS = ("image_size", "teacher_epochs", "teacher_slow_epochs", "batch_size", "seed")
_SWITCHES = ("augment", "distill", "shrink", "init_from_teacher")
_TEXTS = ("data", "model", "method", "budget", "metric", "schedule", "teacher", "precision")


def _typed(key: str, value, source: str):
    if key == "epochs":
        fits = isinstance(value, (list, tuple)) and all(_is_integer(entry) for entry in value)
    elif key in _INTEGERS:
        fits = _is_integer(value)
    elif key in _SWITCHES:
        fits = isinstance(value, bool)
    elif key in _TEXTS:
        value, fits = str(value), isinstance(value, (str, int, float))
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits:
        raise ValueError(f"{source}: {key.replace('_', '-')} cannot be {value!r}")
    return value


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"--{option} {value!r} is unknown: use one of {', '.join(known)}")


def _in_range(option: str, value, fits: bool, wanted: str) -> None:
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not (fits and is_finite):
        raise ValueError(f"--{option} must be {wanted}, got {value}")
