"""What is timed, and by which engine."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import nn
from ..runtime import random
from ..runtime.threads import check_threads, processors
from ..train.models import load_model
from .networks.small import SmallNet

KINDS = ("step", "infer")
SMALL = "small"  # the network of all engines that can train, see networks/small.py
FORMS = {  # of networks, and how they are asked for
    SMALL: f"the network {SMALL!r}",
    "plain": "wrn-D-K and resnets",
    "gated": "the same with --gated",
    "saved": "the networks of --run",
}


@dataclass(frozen=True)
class Case:
    """One thing to time.

    kind: "step" (forward, cross-entropy, backward, Adam with weight decay, in training mode) or
    "infer" (forward, no gradients, evaluation mode).
    network: a name that nn.build knows, "small", or the path of a network that a run saved.
    image_shape: (H, W, C). gated: with hard-concrete gates, sampled anew at every step.
    Raises ValueError, naming the option, for a value out of range.
    """

    kind: str = "step"
    network: str = "wrn-16-1"
    image_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    batch_size: int = 64
    gated: bool = False
    threads: int = field(default_factory=processors)

    def __post_init__(self):
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        if self.kind not in KINDS:
            raise ValueError(f"--case {self.kind!r} is unknown: use one of {', '.join(KINDS)}")
        if self.batch_size < 1:
            raise ValueError(f"--batch-size must be at least 1, got {self.batch_size}")
        check_threads(self.threads)
        if self.network == SMALL:
            self._check_small()

    def _check_small(self) -> None:
        h, w, _ = self.image_shape
        if self.gated:
            raise ValueError(f"the network {SMALL!r} has no gates: use wrn-D-K with --gated")
        if min(self.image_shape) < 1 or h % 4 or w % 4 or self.classes < 2:
            raise ValueError(
                f"the network {SMALL!r} needs an image height and width that are multiples of 4, "
                f"and 2 classes: got --image-shape {self.image_shape}, --classes {self.classes}"
            )

    @property
    def is_saved(self) -> bool:
        """Whether the network is a file."""
        return self.network.endswith(".safetensors")

    @property
    def form(self) -> str:
        """Which of FORMS the network has."""
        if self.network == SMALL:
            return SMALL
        if self.is_saved:
            return "saved"
        return "gated" if self.gated else "plain"

    def build(self) -> nn.Module:
        """The network of tinybar, with the same random weights in every process.

        Raises ValueError for a name that is unknown, or a network that cannot be.
        """
        if self.is_saved:
            return load_model(Path(self.network))[0]
        random.seed(0)
        if self.network == SMALL:
            return SmallNet(self.image_shape[2], self.classes)
        gate = nn.HardConcrete if self.gated else None
        return nn.build(self.network, self.classes, self.image_shape, gate)

    def as_dict(self) -> dict:
        """Fit for JSON."""
        return dataclasses.asdict(self) | {"image_shape": list(self.image_shape)}

    def title(self) -> str:
        """The case in a line."""
        name = Path(self.network).name if self.is_saved else self.network
        what = {"step": "training step", "infer": "inference"}[self.kind]
        gates = " with gates" if self.gated else ""
        size = "x".join(map(str, self.image_shape))
        threads = f"{self.threads} thread" + "s" * (self.threads > 1)
        return f"{what} of {name}{gates}, batch {self.batch_size} of {size}, {threads}"


@dataclass(frozen=True)
class Engine:
    """What can run a case.

    module: in networks/. needs: the modules that must be installed. environ: of its process.
    forms, kinds: of FORMS and of KINDS, those that it runs.
    """

    module: str
    needs: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    forms: tuple[str, ...] = tuple(FORMS)
    kinds: tuple[str, ...] = KINDS

    def runs(self, case: Case) -> bool:
        """Whether it can run the case, once it is installed."""
        return case.form in self.forms and case.kind in self.kinds

    def limits(self) -> str:
        """What it runs."""
        networks = ", ".join(FORMS[form] for form in self.forms)
        return f"--case {' or '.join(self.kinds)} of {networks}"


# The process of a peer also imports tinybar, for the initial weights. What tinybar does there for
# OpenBLAS and the allocator is switched off: the peer is timed as its users have it.
_UNTOUCHED = {"TINYBAR_OPENBLAS": "default", "TINYBAR_MALLOC": "default"}

ENGINES = {
    "tinybar": Engine("ours"),
    "tinybar-numpy": Engine("ours", environ={"TINYBAR_FAST": "off"}),  # without compiled kernels
    "torch": Engine("torch_peer", ("torch",), _UNTOUCHED, (SMALL, "plain", "gated")),
    "autograd": Engine("autograd_peer", ("autograd",), _UNTOUCHED, (SMALL,)),
    "tinygrad": Engine("tinygrad_peer", ("tinygrad",), _UNTOUCHED, (SMALL,)),
    "onnxruntime": Engine(
        "onnxruntime_peer", ("onnx", "onnxruntime"), _UNTOUCHED, ("plain", "saved"), ("infer",)
    ),
}
PEERS = tuple(name for name in ENGINES if name != "tinybar")


def choose_peers(wish: str | None, case: Case) -> tuple[list[str], list[str]]:
    """(peers to run, peers not installed) for a list such as "torch,autograd", or None.

    None: all foreign engines that can run the case; those not installed are only reported.
    Raises ValueError for one asked for that is unknown, not installed, or cannot run the case.
    """
    if wish is None:
        able = [n for n in PEERS if ENGINES[n].needs and ENGINES[n].runs(case)]
        return [n for n in able if is_installed(n)], [n for n in able if not is_installed(n)]
    names = list(dict.fromkeys(name.strip() for name in wish.split(",") if name.strip()))
    for name in names:
        if name not in PEERS:
            raise ValueError(f"unknown peer {name!r}: use {', '.join(PEERS)}")
        if not ENGINES[name].runs(case):
            raise ValueError(f"the peer {name} only runs {ENGINES[name].limits()}")
        if not is_installed(name):
            packages = " ".join(ENGINES[name].needs)
            raise ValueError(f"the peer {name} is not installed: pip install {packages}")
    return names, []


def is_installed(name: str) -> bool:
    """Whether everything that the engine needs can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in ENGINES[name].needs)
