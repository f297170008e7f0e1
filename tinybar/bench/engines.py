"""Who is timed: the engines that can run a case. Others are registered with `add_engine`."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .case import KINDS, NETWORKS, Case


@dataclass(frozen=True)
class Engine:
    """How an engine's process is started, and what the engine can run.

    module: the dotted name of a module that is imported in that process alone. It defines

        versions()      {library: version} of the libraries that compute
        prepare(case)   the step to time: a function without arguments that returns the loss or the
                        logits; from the weights of `case.build()`, on the images of `case.batch()`
        prepare_convolution(shapes, part, threads, algorithm)
                        one of PARTS of a Convolution; if the engine trains plain networks

    folder: the folder that the process puts first on sys.path; None for a module of tinybar.
    needs: the modules that must be installed. programs: the executables that must be on the path.
    environ: environment variables of the process.
    networks, kinds: the groups of NETWORKS and the KINDS that it runs.
    """

    module: str
    folder: Path | None = None
    needs: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = tuple(NETWORKS)
    kinds: tuple[str, ...] = KINDS

    def runs(self, case: Case) -> bool:
        """Whether it can run the case, once it is installed."""
        return case.group in self.networks and case.kind in self.kinds

    def limits(self) -> str:
        """What it runs, in words."""
        networks = ", ".join(NETWORKS[group] for group in self.networks)
        return f"--case {' or '.join(self.kinds)} of {networks}"

    def lacks(self) -> str:
        """What has to be installed before it can run; empty if nothing is missing."""
        if any(importlib.util.find_spec(module) is None for module in self.needs):
            return f"pip install {' '.join(self.needs)}"
        absent = [name for name in self.programs if shutil.which(name) is None]
        return f"it needs {', '.join(absent)} on the path" if absent else ""


# The process of another engine imports tinybar, too, for the initial weights. tinybar's settings of
# OpenBLAS are switched off there: a peer is timed as its users have it.
UNTOUCHED = {"TINYBAR_OPENBLAS": "default"}

ENGINES: dict[str, Engine] = {
    "tinybar": Engine(f"{__package__}.tinybar_steps"),
    "tinybar-numpy": Engine(  # without its compiled kernels
        f"{__package__}.tinybar_steps", environ={"TINYBAR_FAST": "off"}
    ),
    "onnxruntime": Engine(
        f"{__package__}.onnxruntime_steps", needs=("onnx", "onnxruntime"), environ=UNTOUCHED,
        networks=("plain", "saved"), kinds=("infer",),
    ),
}  # fmt: skip


def add_engine(name: str, engine: Engine) -> None:
    """Make an engine known as a peer. Raises ValueError if another one has the name."""
    if ENGINES.setdefault(name, engine) != engine:
        raise ValueError(f"there is an engine {name!r} already: {ENGINES[name]}")


def choose_peers(wish: str | None, case: Case) -> tuple[list[str], list[str]]:
    """(peers to run, peers not installed) for a list such as "onnxruntime,tinybar-numpy", or None.

    None: all libraries other than tinybar that can run the case.
    Raises ValueError if a peer in the list is unknown, is not installed or cannot run the case.
    """
    peers = {name: engine for name, engine in ENGINES.items() if name != "tinybar"}
    if wish is None:
        able = {
            name: engine.lacks()
            for name, engine in peers.items()
            if engine.needs and engine.runs(case)
        }
        return [n for n, lack in able.items() if not lack], [n for n, lack in able.items() if lack]
    names = list(dict.fromkeys(name.strip() for name in wish.split(",") if name.strip()))
    for name in names:
        if name not in peers:
            raise ValueError(f"unknown peer {name!r}: use {', '.join(peers)}")
        if not peers[name].runs(case):
            raise ValueError(f"the peer {name} only runs {peers[name].limits()}")
        if lack := peers[name].lacks():
            raise ValueError(f"the peer {name} is not installed: {lack}")
    return names, []
