"""What is shown: results as tables."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .case import PARTS

QUARTILES = ("median", "lower", "upper")


def render(facts: dict[str, Any]) -> Group:
    """The tables of `bench`, `bench_run`, `bench_layers` or `bench_launches`, and lines below."""
    if "launches" in facts:
        return Group(*_launches(facts))
    versions = facts.get("versions") or {
        name: engine["versions"] for name, engine in facts["engines"].items()
    }
    lines = [_machine(facts), *dict.fromkeys(_versions(found) for found in versions.values())]
    if "run" in facts:
        lines += _shares(facts["run"])
    lines += [f"not installed: {', '.join(facts['missing'])}"] * bool(facts["missing"])
    table = _layers(facts) if "layers" in facts else _engines(facts)
    return Group(table, *(Text(line) for line in lines))


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="right" if k else "left", overflow="fold")
    return table


def _engines(facts: dict[str, Any]) -> Table:
    batch = facts["case"]["batch_size"]
    headings = ("", f"ms for {batch} (quartiles)", "images/s", "peak MiB", "ratio (quartiles)")
    table = _table(facts["title"], headings)
    for name, engine in facts["engines"].items():
        ratio = facts["ratios"].get(name)
        table.add_row(
            name,
            "{} ({}-{})".format(*(number(engine[f"{key}_ms"]) for key in QUARTILES)),
            number(engine["images_per_second"]),
            "?" if engine["peak_bytes"] is None else f"{engine['peak_bytes'] / 2**20:.0f}",
            ratio_text(ratio) if ratio else "",
        )
    first = next(iter(set(facts["engines"]) - set(facts["ratios"])))
    if facts["ratios"]:
        table.caption = f"ratio: images/s of {first} : this one; above 1, {first} is faster"
    return table


def number(value: float, digits: int = 4) -> str:
    """With so many significant digits, and all those before the point."""
    return f"{value:,.0f}" if value >= 10**digits - 0.5 else f"{value:.{digits}g}"


def ratio_text(ratio: dict[str, Any]) -> str:
    """The ratio and its quartiles."""
    return f"{ratio['ratio']:.2f} ({ratio['lower']:.2f}-{ratio['upper']:.2f})"


def _layers(facts: dict[str, Any]) -> Table:
    """Milliseconds of each part; the rate is that of the forward and the whole backward pass."""
    table = _table(facts["title"], ("", *PARTS, "GFLOP/s"))
    for layer in facts["layers"]:
        x, w = ("x".join(map(str, layer[key])) for key in ("x", "weight"))
        name = layer["names"][0]
        times = f" and {len(layer['names']) - 1} more" if len(layer["names"]) > 1 else ""
        table.add_section()
        table.add_row(Text(f"{name}{times}\n{x} * {w} /{layer['stride'][0]}", "bold"))
        for entry in sorted(layer["times"], key=_whole):
            label = f"{entry['engine']} {entry['algorithm']}".removesuffix(" auto")
            chosen = " *" if entry["algorithm"] == layer["chosen"] else ""
            rate = 3 * layer["flops"] / _whole(entry) / 1e6
            cells = (number(entry[part]["median_ms"], 3) for part in PARTS)
            table.add_row(f"  {label}{chosen}", *cells, f"{rate:.0f}")
    table.caption = (
        "ms; backward: data and weight together; * tinybar's choice; GFLOP/s: the direct "
        "algorithm's operations, forward and backward, over their time"
    )
    return table


def _launches(facts: dict[str, Any]) -> list[Table]:
    """All that is counted; the launches of each place, forward and in its pullback."""
    networks = facts["launches"]
    kinds = next(iter(networks.values()))["total"]
    batch = facts["batch_size"]
    totals = _table(f"one gated training step, batch {batch}, on the stand-in", ("", *kinds))
    places = _table("launches", ("", *networks))
    for name, network in networks.items():
        totals.add_row(name, *(f"{n:,}" for n in network["total"].values()))
    rows = {
        place: [
            network["places"].get(place, {}).get("launches", 0) for network in networks.values()
        ]
        for place in {place for network in networks.values() for place in network["places"]}
    }
    for place, counts in sorted(rows.items(), key=lambda row: ([-n for n in row[1]], row[0])):
        places.add_row(place, *map(str, counts))
    return [totals, places]


def _whole(entry: dict[str, Any]) -> float:
    """Milliseconds of forward and backward pass."""
    return entry["forward"]["median_ms"] + entry["backward"]["median_ms"]


def _machine(facts: dict[str, Any]) -> str:
    machine = facts["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, {facts['date']}"
    )


def _versions(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _shares(run: dict[str, Any]) -> list[str]:
    """What became of the FLOPs, in tinybar and in each peer."""
    factor, flops, full = run["flop_factor"], run["flops"], run["flops_full"]
    lines = [
        f"compact: {factor:.1f} times fewer FLOPs than full ({flops:,} of {full:,})",
        f"tinybar: {_realised(run)}",
    ]
    for name, peer in run["peers"].items():
        ratios = ", ".join(f"{size} {ratio_text(r)}" for size, r in peer["ratios"].items())
        lines += [f"{name}: {_realised(peer)}", f"tinybar : {name}: {ratios}"]
    return lines


def _realised(engine: dict[str, Any]) -> str:
    share = 100 * engine["share"]
    return f"{engine['speedup']:.2f} times faster, {share:.0f} % of the FLOP reduction realised"
