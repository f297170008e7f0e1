"""Everything that decides a run, in one flat table; presets are such tables in TOML."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import data, nn, pruning
from ..autograd.conv import CHOICES as CONVOLUTIONS
from ..data import DATASETS, Dataset
from ..data.registry import DATA_DIR
from ..pruning.methods import METHODS
from ..pruning.schedule import KINDS
from ..runtime.arrays import PRECISIONS
from ..runtime.files import FileError, reading
from .options import option, options_of, read

PRESETS = Path(__file__).with_name("presets")

_data = partial(option, group="Data and network")
_pruning = partial(option, group="Pruning")
_teacher = partial(option, group="Teacher and distillation")
_training = partial(option, group="Training")
_run = partial(option, group="Run")


@dataclass(frozen=True)
class Config:
    """The options of a run. The defaults are the paper's, with the exceptions that `paper` names.

    Raises ValueError, naming the option, for a value of the wrong type or out of range.
    """

    # fmt: off
    data: str = _data(
        "digits", f"Data set: {', '.join(DATASETS)}, or the path of a folder, zip or tar archive "
        "with images in train/CLASS and test/CLASS.",
        metavar="NAME|PATH", may_change=True, of_teacher=True,
        paper="Section 5.1: CIFAR-10, CIFAR-100, MIO-TCD")
    data_dir: str = _data(
        DATA_DIR.as_posix(), "Folder in which data sets are looked up, downloaded and cached.",
        metavar="DIR", may_change=True)
    image_size: int | None = _data(
        None, "Resize image files so that their shorter side has N pixels, and crop the central "
        "square.",
        unset="original size; 128 for mio-tcd", at_least=1, paper="Section 5.1: 128 for MIO-TCD",
        of_teacher=True)
    val_fraction: float = _data(
        0.0, "Fraction of the training images to hold out for validation.", at_least=0, below=1,
        of_teacher=True)
    augment: bool = _data(
        True, "Augment the training images: random shifts and horizontal flips.",
        paper="Section 5.1: standard preprocessing", of_teacher=True)
    shift: bool | None = _data(
        None, "Shift training images by up to 4 pixels, small ones by up to a seventh of a side.",
        unset="on, for images of 28 pixels or more", of_teacher=True)
    mirror: bool | None = _data(
        None, "Flip training images horizontally, with probability 1/2.",
        unset="on, for images of 28 pixels or more; off for mnist", of_teacher=True)
    model: str = _data(
        "wrn-16-4", f"Network: {nn.MODELS}.",
        metavar="NAME", paper="Section 5.1: wrn-28-12 for CIFAR, resnet50 for MIO-TCD",
        of_teacher=True)

    method: str = _pruning(
        "bar", f"Pruning method. {'; '.join(f'{k}: {m.title}' for k, m in METHODS.items())}.",
        choices=METHODS, paper="Section 3")
    budget: str = _pruning(
        "8x", "Highest cost that the pruned network may have: a factor (8x: an eighth of the full "
        "network's), a fraction (0.125), or an integer (200000).",
        metavar="B", paper="Supp. 6: 2x, 4x, 8x and 16x")
    metric: str = _pruning(
        "volume", "Cost that the budget limits.", choices=pruning.COSTS, paper="Section 3.3")
    schedule: str = _pruning(
        "sigmoid", "How the budget falls from the cost of the full network to B.",
        choices=KINDS, paper="Section 3.4")
    lambda_: float | None = _pruning(
        None, "Weight of the penalty; V_F is the cost of the full network. l0 and ib search it, "
        "lagrangian moves it: where they begin.",
        unset="2/V_F; 1/V_F for morphnet, 0 for lagrangian, a multiple of V_F/B for l0 and ib",
        at_least=0, paper="Section 5.1: 1e-5")
    gate_lr: float | None = _pruning(
        None, "Learning rate of the gates; for morphnet, of batch norm's scales.",
        unset="max(lr, 32 / iterations of pruning); 4 for 32 with morphnet", above=0, at_most=1000,
        paper="Section 5.1: 1e-3")
    init_from_teacher: bool = _pruning(
        False, "Start pruning with the teacher's weights instead of random ones.",
        paper="Section 5.1: on for MIO-TCD")
    live: str = _pruning(
        "hard", "How a channel of a residual signal exists: hard, from the first open gate on; "
        "soft, as far as its gates are open, which gives them a gradient. For wrn-DEPTH-WIDTH; "
        "other networks have no such mask.", choices=nn.LIVE, paper="Section 4: hard")
    skip_closed: bool = _pruning(
        False, "Skip the channels whose gates are closed: the same gradients for less work; "
        "nothing is removed.", alias="shrink")

    teacher: str | None = _teacher(
        None, "Weights of a trained full network: a .safetensors file from a run or from PyTorch. "
        "If its head is for other classes it gets a new one, and is trained, too.",
        metavar="FILE", unset="train one")
    teacher_epochs: int = _teacher(
        90, "Epochs to train the full network for.", at_least=1, paper="Supp. 3.3", of_teacher=True)
    teacher_slow_epochs: int | None = _teacher(
        None, "How many of the teacher's last epochs use a tenth of the learning rate.",
        unset="a ninth of them", at_least=0, paper="Supp. 3.3", of_teacher=True)
    distill: bool = _teacher(
        True, "Train the pruned network on the teacher's logits as well as on the labels.",
        paper="Section 3.5")
    alpha: float = _teacher(
        0.9, "Weight of the teacher's logits in the data loss; the labels have 1 - alpha.",
        at_least=0, at_most=1, paper="Section 5.1")
    temperature: float = _teacher(
        4.0, "Temperature of the distillation.", at_least=1, at_most=1000, paper="Section 5.1")

    epochs: tuple[int, int, int] = _training(
        (80, 40, 10), "Epochs of pruning (at least 1), of fine-tuning, and of fine-tuning with a "
        "tenth of the learning rate.", at_least=0, paper="Supp. 3.1")
    batch_size: int = _training(
        64, "Images per minibatch.", at_least=2, paper="Section 5.1", of_teacher=True)
    lr: float = _training(
        1e-3, "Learning rate of Adam.", above=0, paper="Section 5.1", of_teacher=True)
    weight_decay: float = _training(
        5e-4, "Weight decay (L2): X times the weights is added to their gradient.",
        at_least=0, paper="Section 5.1", of_teacher=True)
    seed: int = _training(0, "Seed of all random numbers.", at_least=0, of_teacher=True)
    precision: str = _training(
        "tf32", "Precision of matrix products on a GPU; a CPU computes in fp32.",
        choices=PRECISIONS, of_teacher=True)
    conv_algorithm: str = _training(
        "auto", "Algorithm for convolutions: auto is the fastest one for each shape; gather "
        "computes direct sums where auto uses Winograd's algorithm.",
        choices=CONVOLUTIONS, of_teacher=True)
    checkpoint_minutes: float = _run(
        5.0, "Save a checkpoint at least every X minutes.", above=0, may_change=True)
    # fmt: on

    def __post_init__(self) -> None:
        for entry in options_of(Config):
            object.__setattr__(self, entry.field, entry.check(getattr(self, entry.field)))
        if not self.augment and (self.shift or self.mirror):
            raise ValueError(
                "--no-augment leaves no --shift and no --mirror: leave one of them out"
            )
        if self.epochs[0] < 1:
            raise ValueError(f"--epochs must begin with at least 1, got {self.epochs[0]}")
        slow, most = self.teacher_slow_epochs, self.teacher_epochs
        if slow is not None and slow > most:
            raise ValueError(
                f"--teacher-slow-epochs must be at most --teacher-epochs ({most}), got {slow}"
            )

    def dataset(self, cache_dir: Path | None = None) -> Dataset:
        """The data set of the run. cache_dir: takes the place of data_dir.

        Raises ValueError as `data.load`.
        """
        names = "image_size", "val_fraction", "augment", "shift", "mirror", "seed"
        options = {name: getattr(self, name) for name in names}
        return data.load(self.data, cache_dir=cache_dir or Path(self.data_dir), **options)

    def total_epochs(self, factor: float) -> int:
        """The epochs of all stages. factor: V_F / B."""
        pruning_epochs = METHODS[self.method].epochs(self, factor)
        return pruning_epochs + (self.teacher_epochs if self.teacher is None else 0)

    def as_table(self) -> dict[str, Any]:
        """The options by their names in TOML, without those that are None."""
        table = {entry.key: getattr(self, entry.field) for entry in options_of(Config)}
        return {name: value for name, value in table.items() if value is not None}

    def name(self) -> str:
        """A name for the run's folder."""
        data = Path(self.data).name or "data"
        return f"{data}-{self.model}-{self.method}-{self.budget}-{self.metric}-seed{self.seed}"


def from_table(table: dict[str, Any], source: str = "") -> Config:
    """The Config of a table as in TOML, from the file `source`. Raises ValueError as `read`."""
    values = read(options_of(Config), table, source)
    try:
        return Config(**values)
    except ValueError as error:  # two options that do not fit together
        raise ValueError(f"{source}: {error}" if source else str(error)) from None


def configure(given: dict[str, Any], preset: str | None = None) -> Config:
    """The options of a preset, replaced by those given. The digits have a preset of their own.

    Paths become absolute, so that the run can be resumed from another working directory.
    """
    if preset is None and given.get("data", Config.data) == "digits":
        preset = "digits"
    return Config(**_values({"data": Config.data, "data_dir": Config.data_dir}, given, preset))


def reconfigure(config: Config, given: dict[str, Any], preset: str | None = None) -> Config:
    """The options of a run that goes on, with those given that may change.

    Raises ValueError, with both values, if another option differs from the run's.
    """
    changed = Config(**vars(config) | _values({}, given, preset))
    check_unchanged(config, changed)
    return changed


def check_unchanged(was: Config, now: Config) -> None:
    """Raise ValueError if an option differs that may not change in the course of a run."""
    changed = [
        f"{entry.flag} is {getattr(was, entry.field)!r}, not {getattr(now, entry.field)!r}"
        for entry in options_of(Config)
        if not entry.may_change and getattr(was, entry.field) != getattr(now, entry.field)
    ]
    if changed:
        may = ", ".join(entry.flag for entry in options_of(Config) if entry.may_change)
        raise ValueError(
            f"a run keeps its options: {', '.join(changed)}; only {may}, --device, --graph, "
            "--threads, --detect-anomaly and what is printed may change"
        )


def _values(values: dict[str, Any], given: dict[str, Any], preset: str | None) -> dict[str, Any]:
    """The values, replaced by those of the preset and by those given; paths become absolute."""
    values |= read(options_of(Config), load_preset(preset), preset) if preset else {}
    values |= read(options_of(Config), given)
    if values.get("data") not in {None, *DATASETS} and os.path.exists(values["data"]):
        values["data"] = str(Path(values["data"]).resolve())
    for name in ("data_dir", "teacher"):
        if values.get(name) is not None:
            values[name] = str(Path(values[name]).resolve())
    return values


def preset_names() -> list[str]:
    """The presets that tinybar brings."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> dict[str, Any]:
    """The table of the preset called `name`, or in the TOML file of that name."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(preset_names())
        raise ValueError(f"unknown preset {name!r}: use {known}, or the path of a .toml file")
    return read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file. Raises FileError where it is missing or malformed."""
    with reading(path):
        try:
            return tomllib.loads(path.read_text("utf-8-sig"))  # some editors write a mark
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileError(f"{path} is not valid TOML: {error}") from error
