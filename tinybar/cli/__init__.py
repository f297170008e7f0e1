"""The command line. An error is one line on stderr: exit code 2 for bad input, 1 for a failed run.

Heavy imports are inside the commands: `tinybar --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from .. import __version__

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
INTERRUPTED = 130  # as shells say of Ctrl-C


@click.group(context_settings=SETTINGS)
@click.version_option(__version__, prog_name="tinybar")
def cli():
    """Prune convolutional networks to a budget while they train.

    \b
    Examples:
      tinybar train                        the embedded digits, 8 times smaller
      tinybar train --data photos --model wrn-16-4 --budget 16x
      tinybar audit                        check every gradient and closed form
    """


def device_option(command):
    """--device, for all commands that compute."""
    return click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|gpu|gpu:N",
        help="Where to compute; auto takes a GPU when CuPy sees one.",
    )(command)  # fmt: skip


def data_dir_option(command):
    """--data-dir, for the commands that read images."""
    return click.option(
        "--data-dir", type=click.Path(path_type=Path), default=Path("data/cache"),
        show_default=True, help="Where data sets are found, fetched to, and kept decoded.",
    )(command)  # fmt: skip


def threads_option(command):
    """--threads, for the commands that compute in this process: it is set while they are parsed."""

    def apply(context, option, n):
        if n is not None:
            from ..runtime import threads

            threads.check_threads(n)
            threads.use_threads(n)

    return click.option(
        "--threads", type=int, callback=apply, expose_value=False,
        help="All processors if unset.",
    )(command)  # fmt: skip


@cli.command(epilog="The run's folder holds the networks, metrics.jsonl and result.json.")
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="digits, mnist, fashion-mnist, cifar10, cifar100, mio-tcd, or a folder, zip or tar of "
    "train|test/CLASS/*.png.",
)
@click.option("--image-size", type=int, metavar="N", help="Resize and cut images in files to NxN.")
@click.option("--val-fraction", type=float, help="Of the training images, held out.")
@click.option("--augment/--no-augment", default=None, help="Shifts and mirror images.")
@data_dir_option
@click.option("--model", metavar="NAME", help="wrn-16-4, resnet-20, resnet50, ...")
@click.option("--method", metavar="bar|random", help="How to prune.")
@click.option(
    "--budget", metavar="8x|0.125|N", help="A factor, a fraction of the full cost, a cost."
)
@click.option("--metric", metavar="volume|flops|params", help="What the budget counts.")
@click.option("--schedule", metavar="sigmoid|linear|exponential", help="How the budget falls.")
@click.option("--distill/--no-distill", default=None, help="Whether to learn from the teacher.")
@click.option("--shrink/--no-shrink", default=None, help="Skip what was drawn closed.")
@click.option("--alpha", type=float, help="Share of the teacher in the data loss.")
@click.option("--temperature", type=float, help="Of the distillation.")
@click.option("--lambda", "lambda_", type=float, help="Weight of the barrier loss; 2/V_F if unset.")
@click.option(
    "--epochs", type=int, nargs=3, metavar="N N N", help="With barrier, fine-tuning, at lr/10."
)
@click.option("--teacher-epochs", type=int, help="Of the full network.")
@click.option(
    "--teacher-slow-epochs", type=int, help="The last of them at lr/10; a ninth if unset."
)
@click.option("--teacher", metavar="FILE", help="A trained full network, tinybar's or PyTorch's.")
@click.option(
    "--init-from-teacher/--no-init-from-teacher", default=None, help="Start with its weights."
)
@click.option("--batch-size", type=int, help="Images per step.")
@click.option("--lr", type=float, help="Adam's learning rate.")
@click.option("--gate-lr", type=float, help="That of the gates; max(lr, 32/iterations) if unset.")
@click.option("--weight-decay", type=float, help="Added to the gradient of the weights.")
@click.option("--seed", type=int, help="Of every random stream.")
@click.option(
    "--precision", metavar="fp32|tf32", help="Of matrix products on a GPU; no effect on a CPU."
)
@click.option("--preset", metavar="NAME|FILE.toml", help="Options from a file; flags override it.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder; runs/... if unset.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with a run.")
@click.option("--memory", is_flag=True, help="Tell the run's peak memory at its end.")
@device_option
@threads_option
def train(preset, out, resume, memory, device, data_dir, **options):
    """Teacher, pruning while training, hard pruning, fine-tuning, a compact network.

    \b
    Examples:
      tinybar train
      tinybar train --budget 16x --seed 1 --out runs/tiny
      tinybar train --data photos --model wrn-16-4 --budget 0.25 --metric flops
      tinybar train --resume runs/tiny
    """
    from rich.console import Console

    from ..report import closing
    from ..report.progress import Display
    from ..runtime.arrays import device_name, use_device, use_precision
    from ..train.checkpoint import RunFolder, free_folder
    from ..train.run import check
    from ..train.run import train as run

    given = {name.rstrip("_"): value for name, value in options.items() if value is not None}
    if resume is not None:
        if given or preset or out:
            raise ValueError(
                "--resume takes the run's own options: "
                "give it alone, or with --data-dir, --device, --threads and --memory"
            )
        folder = RunFolder.open(resume)
        config = folder.load_config()
        if folder.result.exists():
            raise ValueError(f"the run in {resume} is complete: see {folder.result}")
    else:
        config = _config(given, preset)
    use_device(device)
    use_precision(config.precision)
    dataset = config.dataset(data_dir)
    budget = check(config, dataset)
    if resume is None:
        folder = RunFolder.create(out or free_folder(Path("runs"), config.name()), config)

    console = Console()
    console.print(
        f"tinybar {__version__}: {config.model} on {dataset.name}, {config.metric} budget "
        f"{budget:,}, seed {config.seed}, {device_name()}, into {folder.path}",
        highlight=False,
    )
    try:
        with Display(console, budget, config.metric) as display:
            facts = run(config, dataset, folder, display)
        outcome = closing.finish(config, dataset, folder, facts)
    except KeyboardInterrupt:
        click.echo(f"interrupted: go on with `tinybar train --resume {folder.path}`", err=True)
        sys.exit(INTERRUPTED)
    console.print(closing.closing(outcome, facts["features"]))
    if memory:
        console.print(closing.peak_memory(outcome), highlight=False)
    console.print(f"{facts['seconds']:.0f} s; results in {folder.path}", highlight=False)
    if outcome["cost"] > budget:  # cannot be: the budget is enforced
        sys.exit(1)


def _config(given: dict, preset: str | None):
    """The preset's options, replaced by those given. The digits have a preset of their own."""
    from ..data.sources import NAMES
    from ..train.config import Config, from_table, load_preset

    if preset is None and given.get("data", "digits") == "digits":
        preset = "digits"
    table = (load_preset(preset) if preset else {}) | given
    data = str(table.get("data", Config.data))
    if data and data not in NAMES and Path(data).exists():
        table["data"] = str(Path(data).resolve())  # the run may be resumed elsewhere
    if "teacher" in table:
        table["teacher"] = str(Path(table["teacher"]).resolve())
    return from_table(table)


@cli.command(name="eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", metavar="NAME|PATH", help="Another data set than the run's.")
@data_dir_option
@click.option("--teacher", is_flag=True, help="The full network instead of the pruned one.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@device_option
@threads_option
def evaluate(run, data, data_dir, teacher, as_json, device):
    """Test accuracy of the network that RUN saved.

    RUN is a run's folder, or a .safetensors file (then with --data, unless it knows its own).

    \b
    Examples:
      tinybar eval runs/digits-wrn-10-2-bar-8x-volume-seed0
      tinybar eval runs/tiny --teacher --json
    """
    from ..report.inspection import evaluate_run
    from ..runtime.arrays import use_device, use_precision

    use_device(device)
    use_precision("fp32")
    outcome = evaluate_run(run, data, teacher, data_dir)
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        click.echo(
            f"test accuracy {100 * outcome['accuracy']:.2f} % on {outcome['images']} images of "
            f"{outcome['dataset']}; volume {outcome['volume']:,}, FLOPs {outcome['flops']:,}, "
            f"parameters {outcome['params']:,}"
        )


@cli.command()
@click.argument("model", required=False)
@click.option("--image-shape", type=int, nargs=3, default=(32, 32, 3), show_default=True)
@click.option("--classes", type=int, default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--system", is_flag=True, help="Processor, BLAS, devices and versions instead.")
def info(model, image_shape, classes, as_json, system):
    """Every convolution of MODEL: shapes, volume, FLOPs, parameters.

    MODEL is a name such as wrn-28-12, resnet-20 or resnet50, a run's folder, or a .safetensors
    file.

    \b
    Examples:
      tinybar info wrn-28-12
      tinybar info runs/tiny --json
      tinybar info --system
    """
    from rich.console import Console

    from ..report import inspection

    if system == (model is not None):
        raise ValueError("tinybar info needs either a MODEL or --system")
    if system:
        facts = inspection.system()
        render = inspection.system_table
    else:
        facts = inspection.describe(model, tuple(image_shape), classes)
        render = inspection.layer_table
    if as_json:
        click.echo(json.dumps(facts))
    else:
        Console().print(render(facts))


@cli.command()
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random problems.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@device_option
def audit(seed, as_json, device):
    """Check every primitive's gradient and every closed form; exit code 1 if one fails.

    \b
    Examples:
      tinybar audit
      tinybar audit --device gpu --json
    """
    from rich.console import Console

    from ..audit import report, run_audit
    from ..runtime.arrays import use_device, use_precision

    use_device(device)
    use_precision("fp32")
    rows = run_audit(seed)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows]))
    else:
        Console().print(report(rows))
    if not all(row.passed for row in rows):
        sys.exit(1)


@cli.command()
@click.argument("model", required=False)
@click.option("--case", "kind", metavar="step|infer", help="Training step, or inference.")
@click.option("--image-shape", type=int, nargs=3, metavar="H W C", help="32 32 3 if unset.")
@click.option("--classes", type=int, help="10 if unset.")
@click.option("--batch-size", type=int, default=64, show_default=True)
@click.option("--gated", is_flag=True, help="With hard-concrete gates.")
@click.option("--threads", type=int, help="All processors if unset.")
@click.option("--peers", metavar="LIST", help="Engines to compare with, separated by commas.")
@click.option("--run", type=click.Path(path_type=Path), help="A run's compact and full network.")
@click.option("--layers", is_flag=True, help="Every convolution by every algorithm.")
@click.option("--seconds", type=float, help="Of measuring: 10 if unset, 60 with --layers.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE")
def bench(json_file, **options):
    """Time tinybar on the CPU: training steps, inference, single convolutions.

    MODEL is a name such as wrn-28-12, or small, a network of three convolutions; wrn-16-1 if unset.
    Two peers can be timed beside tinybar, in turns, each in a process of its own: onnxruntime
    (inference only; if it is installed, --peers need not ask for it) and tinybar-numpy, which is
    tinybar without its compiled kernels. In the source tree, benchmarks/compare.py takes the same
    options and adds other frameworks as peers.

    \b
    Examples:
      tinybar bench
      tinybar bench wrn-28-12 --batch-size 16 --gated --peers tinybar-numpy
      tinybar bench wrn-16-4 --layers --json layers.json
      tinybar bench wrn-16-4 --case infer --peers onnxruntime --threads 1
      tinybar bench --run runs/tiny
    """
    from rich.console import Console

    from ..bench.command import execute
    from ..bench.table import render
    from ..runtime.files import write_json

    if json_file is not None and not json_file.parent.is_dir():
        raise ValueError(f"--json {json_file}: there is no folder {json_file.parent}")
    console = Console()
    with console.status("starting") as status:
        facts = execute(**options, listen=status.update)
    console.print(render(facts), highlight=False)
    if json_file is not None:
        write_json(json_file, facts)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. TINYBAR_DEBUG=1 shows where an error arose."""
    try:
        cli.main(arguments, prog_name="tinybar", standalone_mode=False)
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except SystemExit as stop:  # of a command that ends with another code than 0
        return stop.code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (ValueError, TypeError) as error:
        return _fail(error, 2)
    except (RuntimeError, OSError, MemoryError) as error:
        return _fail(error, 1)


def _fail(error, code: int) -> int:
    if os.environ.get("TINYBAR_DEBUG"):
        raise
    message = " ".join(str(error).split()) or type(error).__name__
    click.echo(f"tinybar: error: {message}", err=True)
    return code


def entry() -> None:
    """The `tinybar` script."""
    sys.exit(main())
