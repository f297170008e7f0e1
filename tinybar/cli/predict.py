"""`tinybar predict`."""

from __future__ import annotations

import csv
import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import click

from .options import (
    GroupedCommand,
    conv_algorithm_option,
    device_option,
    json_option,
    threads_option,
)

COLUMNS = "class", "probability"


@click.command("predict", cls=GroupedCommand, short_help="Classify images with a saved network.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=click.Path())
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Tell the N likeliest classes.")  # fmt: skip
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--teacher", is_flag=True, help="Ask the full network, not the pruned one.")
@device_option
@conv_algorithm_option
@threads_option
def command(run, images, top, as_json, as_csv, teacher, device, conv_algorithm):
    """Tell the classes of images, and their probabilities.

    RUN is the folder of a run, or a .safetensors file that a run wrote. Images are JPEG or PNG
    files, read as in training: turned upright, resized and cropped. Of a FOLDER all images are
    taken, and those in the folders in it. Where every image is in a folder with the name of a
    class, the accuracy is told, too.

    \b
    Examples:
      tinybar predict runs/tiny cat.jpg --top 3
      tinybar predict runs/tiny photos/test --csv > classes.csv
    """
    from ..autograd.conv import use_algorithm
    from ..data.files.folders import told
    from ..deploy import load
    from ..deploy.answers import answers, share_correct
    from ..deploy.images import list_images
    from ..runtime.arrays import use_device, use_precision

    if as_json and as_csv:
        raise ValueError("--json and --csv exclude each other")
    use_device(device)
    use_precision("fp32")
    use_algorithm(conv_algorithm)
    predictor = load(run, teacher=teacher)
    files, passed_over = list_images(images)
    if passed_over:
        click.echo(f"images skipped: {told(passed_over)}", err=True)
    print_answer = _print_row if as_csv else (lambda *_: None) if as_json else _print_line
    found = []
    for answer in answers(predictor, files, top):
        print_answer(answer, not found)
        found.append(answer)
    accuracy = share_correct(found)
    if as_json:
        click.echo(json.dumps({"images": list(map(_as_json, found)), "accuracy": accuracy}))
    elif accuracy is not None:
        line = f"accuracy {100 * accuracy:.2f} % on {len(found):,} images, by their folders' names"
        click.echo(line, err=as_csv)


def _print_line(answer, is_first: bool) -> None:
    from ..report.text import shown

    likeliest = ", ".join(f"{shown(name)} {share:.4f}" for name, share in answer.likeliest)
    click.echo(f"{shown(answer.path)}: {likeliest}")


def _print_row(answer, is_first: bool) -> None:
    """path, label, then class and probability of each of the likeliest."""
    rows, text = [[answer.path, answer.label, *chain(*answer.likeliest)]], io.StringIO()
    if is_first:
        places = ["", *(f"_{k}" for k in range(2, len(answer.likeliest) + 1))]
        rows.insert(0, ["path", "label", *(f"{n}{k}" for k in places for n in COLUMNS)])
    csv.writer(text, lineterminator="\n").writerows(rows)
    click.echo(text.getvalue(), nl=False)


def _as_json(answer) -> dict[str, Any]:
    likeliest = [dict(zip(COLUMNS, entry, strict=True)) for entry in answer.likeliest]
    return {"path": answer.path, "label": answer.label, "likeliest": likeliest}
