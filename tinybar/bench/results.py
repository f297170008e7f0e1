"""What is written down: the machine, the versions, every time, and what follows from them."""

from __future__ import annotations

import dataclasses
import platform
from datetime import datetime
from pathlib import Path

from .. import __version__, pruning
from ..runtime import blas, threads
from ..train.checkpoint import RunFolder, load_model
from .case import Case
from .engines import choose_peers
from .layers import Layer, distinct, measure
from .runner import Listener, Measured, compare
from .timing import speed_ratio, summarise


def machine() -> dict:
    """The processor and what else decides about times."""
    return {
        "processor": blas.processor_name(),
        "cores": threads.processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def bench(case: Case, peers: str | None, seconds: float, listen: Listener) -> dict:
    """Times of the case in tinybar and its peers, fit for JSON."""
    names, missing = choose_peers(peers, case)
    contenders = {name: (name, case) for name in ["tinybar", *names]}
    measured = compare(contenders, seconds, listen)
    ratios = {
        name: _ratio(measured["tinybar"], measured[name]) for name in measured if name != "tinybar"
    }
    return {
        **_header(case, seconds),
        "engines": {name: _engine(result) for name, result in measured.items()},
        "ratios": ratios,
        "missing": missing,
    }


def bench_run(run: Path, case: Case, peers: str | None, seconds: float, listen: Listener) -> dict:
    """Times of the compact network of a run beside the full one, and what became of the FLOPs.

    The same of the peers, whose networks are called "full, PEER" and "compact, PEER".
    """
    full, compact = _networks(run)
    cases = {
        "full": dataclasses.replace(case, network=str(full.path), **full.shape),
        "compact": dataclasses.replace(case, network=str(compact.path), **compact.shape),
    }
    names, missing = choose_peers(peers, cases["compact"])
    contenders = {size: ("tinybar", c) for size, c in cases.items()}
    contenders |= {f"{size}, {n}": (n, c) for n in names for size, c in cases.items()}
    measured = compare(contenders, seconds, listen)
    factor = full.flops / compact.flops

    def realised(small: str, large: str) -> dict:
        speedup = _ratio(measured[small], measured[large])["ratio"]
        return {"speedup": speedup, "share": speedup / factor}

    def beside(peer: str) -> dict:
        """What the peer makes of the reduction; tinybar : peer on each of the two networks."""
        ratios = {size: _ratio(measured[size], measured[f"{size}, {peer}"]) for size in cases}
        return {**realised(f"compact, {peer}", f"full, {peer}"), "ratios": ratios}

    return {
        **_header(cases["compact"], seconds),
        "engines": {name: _engine(result) for name, result in measured.items()},
        "ratios": {
            name: _ratio(measured["compact"], result)
            for name, result in measured.items()
            if name != "compact"
        },
        "missing": missing,
        "run": {
            "path": str(run),
            "flops_full": full.flops,
            "flops": compact.flops,
            "flop_factor": factor,
            **realised("compact", "full"),
            "peers": {name: beside(name) for name in names},
        },
    }


def bench_layers(case: Case, peers: str | None, seconds: float, listen: Listener) -> dict:
    """Times of every distinct convolution of the case's network, by every algorithm."""
    names, missing = choose_peers(peers, case)
    layers = distinct(case)
    versions = measure(layers, ["tinybar", *names], case.threads, seconds / len(layers), listen)
    return {
        **_header(case, seconds),
        "title": f"convolutions of {case.title().partition(' of ')[2]}",
        "versions": versions,
        "layers": [_layer(layer) for layer in layers],
        "missing": missing,
    }


# --- the parts -----------------------------------------------------------------------------------


def _header(case: Case, seconds: float) -> dict:
    return {
        "tinybar": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        "threads": case.threads,
        "seconds": seconds,
        "title": case.title(),
        "case": case.as_dict(),
    }


def _engine(measured: Measured) -> dict:
    """median, lower, upper (quartiles), fastest: milliseconds of a step. rounds: seconds."""
    times = [t for turn in measured.rounds for t in turn]
    summary = summarise(times)
    return {
        "versions": measured.versions,
        **_milliseconds(summary),
        "steps": summary.count,
        "images_per_second": measured.case.batch_size / summary.median,
        "resident_bytes": measured.resident,
        "peak_bytes": measured.peak,
        "rounds": [[round(t, 7) for t in turn] for turn in measured.rounds],
    }


def _milliseconds(summary) -> dict:
    names = ("median", "lower", "upper", "fastest")
    return {f"{name}_ms": 1000 * getattr(summary, name) for name in names}


def _ratio(ours: Measured, theirs: Measured) -> dict:
    ratio, lower, upper = speed_ratio(ours.rounds, theirs.rounds)
    memory = ours.peak / theirs.peak if ours.peak and theirs.peak else None
    return {"ratio": ratio, "lower": lower, "upper": upper, "memory": memory}


def _layer(layer: Layer) -> dict:
    times = [
        {
            "engine": engine,
            "algorithm": algorithm,
            **{
                part: {**_milliseconds(s), "gflops": layer.gflops((engine, algorithm), part)}
                for part, s in parts.items()
            },
        }
        for (engine, algorithm), parts in layer.times.items()
    ]
    facts = {"names": layer.names, **layer.shapes.as_dict(), "flops": layer.shapes.flops}
    return facts | {"chosen": layer.chosen, "times": times}


@dataclasses.dataclass(frozen=True)
class _Saved:
    """A saved network."""

    path: Path
    flops: int
    shape: dict


def _networks(run: Path) -> tuple[_Saved, _Saved]:
    """The full and the compact network of a run. ValueError if there is no such run."""
    folder = RunFolder.open(run)
    found = []
    for path in (folder.teacher, folder.pruned):
        model, _ = load_model(path)
        shape = {"image_shape": model.image_shape, "classes": model.num_classes}
        found.append(_Saved(path, pruning.flops(model), shape))
    return found[0], found[1]
