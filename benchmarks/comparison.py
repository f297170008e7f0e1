"""What a sweep found, as a page of Markdown and a CSV file among the results.

    tinybar sweep digits --out runs/digits --jobs 2
    python benchmarks/comparison.py runs/digits comparison-digits "tinybar sweep digits ..."

`tinybar report` has the same figures as a page of HTML. The CSV file, put into a new folder as
results.csv, lets a sweep go on from there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from common import RESULTS, commit, origin, table

from tinybar.report.pages.comparison import Setting, at_equal_budget, at_equal_flops, settings
from tinybar.report.pages.rows import Row, load
from tinybar.report.pages.statistics import Spread
from tinybar.report.pages.support import statements

HEADINGS = (
    "budget", "method", "n", "test accuracy", "lowest", "before fine-tuning", "V factor",
    "FLOP factor", "within budget", "training FLOPs", "probes of λ",
)  # fmt: skip


def mean_sd(found: Spread) -> str:
    """A spread, of a single run without its s.d."""
    return f"{found.mean:.3f}" + f" ± {found.sd:.3f}" * (found.n > 1)


def results(setting: Setting) -> str:
    """A line for each budget and method."""
    lines = []
    for factor in setting.factors:
        for series in setting.series:
            if (group := setting.groups.get((series, factor))) is None:
                continue
            accuracy, cost = group.spread("accuracy"), group.spread("training_flops")
            probes = group.spread("probes")
            lines.append((
                f"{factor:g}x", series.name, accuracy.n, mean_sd(accuracy),
                f"{accuracy.lowest:.3f}", f"{group.spread('accuracy_hard').mean:.3f}",
                f"{group.spread('volume_factor').mean:.2f}",
                f"{group.spread('flop_factor').mean:.1f}", f"{group.kept} of {accuracy.n}",
                f"{cost.mean:.2e}" if cost else "", f"{probes.mean:.1f}" if probes else "",
            ))  # fmt: skip
    return table(HEADINGS, lines)


def differences(setting: Setting, found: dict) -> str:
    """BAR's accuracy minus each rival's, by budget."""
    lines = []
    for rival in setting.rivals:
        cells = [found.get((rival, factor)) for factor in setting.factors]
        texts = [f"{c.mean:+.3f} ± {c.sd:.3f}, p = {c.p:.2g}" if c else "" for c in cells]
        lines.append((rival.name, *texts))
    return table(("BAR minus", *(f"{factor:g}x" for factor in setting.factors)), lines)


def part(setting: Setting) -> str:
    """The results of one network on one data set."""
    full = [row.values["accuracy_teacher"] for row in setting.rows]
    told = "\n".join(
        f"- **{question}.** {' '.join(answers)}" for question, answers in statements(setting)
    )
    return f"""## {setting.model} on {setting.dataset}

{results(setting)}

The full networks have {min(full):.3f} to {max(full):.3f}. Training FLOPs are those of convolutions,
without the teacher's. Means over seeds ± their standard deviation.

### At equal budgets

{differences(setting, at_equal_budget(setting))}

### At equal FLOPs

The rival's accuracy is interpolated, seed by seed, to the FLOPs that BAR has at each budget.

{differences(setting, at_equal_flops(setting))}

p: the exact sign-flip permutation test over the seeds, two-sided.

### What these runs support

{told}
"""


def page(name: str, rows: list[Row], command: str) -> str:
    """The results, with how they were made."""
    devices = "runs on " + ", ".join(sorted({row.line["device_name"] for row in rows}))
    parts = "\n".join(map(part, settings(rows)))
    return f"""# {name}

`{command}`, {origin()}, page made at commit {commit()};
{devices}. All runs: [{name}.csv]({name}.csv).

{parts}"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.argument("name")
@click.argument("command")
def main(folder: Path, name: str, command: str) -> None:
    rows = load([folder])
    (RESULTS / f"{name}.md").write_text(page(name, rows.finished, command), encoding="utf-8")
    shutil.copy(folder / "results.csv", RESULTS / f"{name}.csv")


if __name__ == "__main__":
    main()
