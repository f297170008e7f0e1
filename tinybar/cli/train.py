"""`tinybar train`."""

from __future__ import annotations

import gc
import shlex
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from ..report.text import shown
from ..runtime import ranks
from ..runtime.files import FileError
from ..runtime.signals import Interrupted
from .options import ConfigCommand, Flag, device_option, graph_option, threads_option
from .together import watch


@click.command("train", cls=ConfigCommand, short_help="Train a network and prune it to a budget.")
@click.option("--out", cls=Flag, metavar="DIR", type=click.Path(path_type=Path),
              show_default="in runs/, named for the options",
              help="Folder for the run; it must be new or empty.")  # fmt: skip
@click.option("--resume", cls=Flag, metavar="DIR", type=click.Path(path_type=Path),
              help="Continue the interrupted run in DIR, with its own options.")  # fmt: skip
@click.option(
    "--teacher-only",
    cls=Flag,
    is_flag=True,
    help="Train the full network, and stop; --resume DIR without it goes on to prune.",
)
@click.option("-q", "--quiet", cls=Flag, group="Output", is_flag=True,
              help="Print nothing but warnings and errors, on stderr.")  # fmt: skip
@click.option("--json", "as_json", cls=Flag, group="Output", is_flag=True,
              help="Print lines of JSON: the plan, every epoch, warnings, the result.")  # fmt: skip
@click.option("--memory", cls=Flag, group="Output", is_flag=True,
              help="Print the peak memory at the end.")  # fmt: skip
@click.option("--tensorboard", cls=Flag, group="Output", is_flag=True,
              help="Write event files for TensorBoard, too, in the run's folder.")  # fmt: skip
@click.option("--detect-anomaly", cls=Flag, is_flag=True,
              help="Name the operation that first gives NaN or infinity; slower.")  # fmt: skip
@device_option
@graph_option
@threads_option
def command(preset, out, resume, teacher_only, quiet, as_json, memory, tensorboard,
            detect_anomaly, device, **options):  # fmt: skip
    """Train a network and prune it to a budget at the same time.

    First the full network, the teacher, is trained. Then a network of the same architecture, with
    a gate on every channel, is trained under a budget that falls to the given one. Channels whose
    gates are closed are removed, and the remaining network is fine-tuned.

    The run's folder holds pruned.safetensors, teacher.safetensors, result.json, metrics.jsonl (a
    line per epoch) and config.toml (the options). --resume continues a run that was interrupted.

    \b
    Examples:
      tinybar train
      tinybar train --budget 16x --seed 1 --out runs/tiny
      tinybar train --data photos --model wrn-16-4 --budget 0.25 --metric flops
      tinybar train --resume runs/tiny
    """
    from .. import autograd as ag
    from ..autograd.conv import use_algorithm
    from ..report.tensorboard import EventFiles, check_installed
    from ..report.voices import voice
    from ..runtime.arrays import use_device, use_precision
    from ..train.config import configure
    from ..train.folder import RunFolder, free_folder
    from ..train.following import Follower, Leader, same_options
    from ..train.listeners import Listeners
    from ..train.result import finish
    from ..train.run import check
    from ..train.run import train as run

    says = voice(quiet, as_json)
    given = {name: value for name, value in options.items() if value is not None}
    if tensorboard:
        check_installed()
    ranks.start()
    kind = RunFolder if ranks.size() == 1 else Leader
    with ExitStack() as stack:
        if detect_anomaly:
            stack.enter_context(ag.detect_anomaly())
        config = folder = None
        if ranks.rank():
            folder = Follower()
        elif resume is None:
            config = configure(given, preset)
        else:
            folder = kind.open(resume, lambda line: click.echo(f"tinybar: {shown(line)}", err=True))
            stack.enter_context(folder.locked())
            stack.enter_context(_resumable(folder))
            config = folder.config_to_resume(given, preset, out)
        config = same_options(config)
        use_device(_own_gpu(device))
        use_precision(config.precision)
        use_algorithm(config.conv_algorithm)
        says.begin(config)
        with says.waiting(f"reading {config.data}"), ranks.rank_0_first():  # which downloads it
            dataset = _dataset(config, is_resumed=resume is not None)
        with says.waiting(f"building {config.model}"):
            plan = check(config, dataset, folder)
        if folder is None:
            folder = kind.create(out or free_folder(Path("runs"), config.name()), config)
            stack.enter_context(folder.locked())
            stack.enter_context(_resumable(folder))
        watch(f"tinybar: error: a process of this run was killed; {_how_to_resume(folder)}")
        gc.freeze()  # no collection looks through the modules again: 4 % of a small step
        stack.callback(gc.unfreeze)

        says.plan(config, dataset, plan, folder.path)
        writes = tensorboard and ranks.rank() == 0
        events = [stack.enter_context(EventFiles(folder, config))] if writes else []
        with says.listener(config, plan.epochs) as display:
            listen = Listeners(display, *events)
            facts = run(config, dataset, folder, listen, plan.budget, teacher_only)
        is_first = ranks.rank() == 0
        ranks.leave()
        if not is_first:
            return
        if teacher_only:
            says.teacher(facts["accuracy_teacher"], folder.teacher)
            return
        with says.waiting("measuring the latency"):
            outcome = finish(config, dataset, folder, facts)
        for listener in events:
            listener.finish(outcome)
    says.result(outcome, facts["channels"], folder.path, memory)
    # What is printed may be lost: the results are in files. The budget is enforced: never 1.
    sys.exit(int(outcome["cost"] > plan.budget))


def _dataset(config, is_resumed: bool):
    try:
        return config.dataset()
    except ValueError as error:
        if not is_resumed:
            raise
        hint = "if the data has moved, give --data PATH or --data-dir DIR beside --resume"
        raise ValueError(f"{error}; {hint}") from error


def _own_gpu(device: str) -> str:
    """The device of this process: of several on a machine, each takes the next GPU."""
    from ..runtime.arrays import gpu_available

    if ranks.size() == 1 or device not in ("auto", "gpu") or not gpu_available():
        return device
    from cupy.cuda.runtime import getDeviceCount

    return f"gpu:{ranks.launched().local_rank % getDeviceCount()}"


def _how_to_resume(folder) -> str:
    mpiexec = f"mpiexec -n {ranks.size()} " if ranks.size() > 1 else ""
    return f"resume with `{mpiexec}tinybar train --resume {shlex.quote(str(folder.path))}`"


@contextmanager
def _resumable(folder):
    """Say, where the block is interrupted or cannot write, how the run goes on."""
    how = _how_to_resume(folder)
    try:
        yield
    except Interrupted as stop:
        click.echo(shown(f"interrupted{stop.where}; {how}"), err=True)
        sys.exit(stop.code)
    except (OSError, FileError) as error:
        if not folder.path.exists():
            raise OSError(f"the run folder {folder.path} was removed") from error
        if isinstance(error, FileError):  # of a file that is read
            raise
        raise OSError(f"{error}; resolve this, then {how}") from error
