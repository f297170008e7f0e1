"""`tinybar export`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import GroupedCommand


@click.command(
    "export", cls=GroupedCommand, short_help="Write a saved network as ONNX, for other runtimes."
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="FILE.onnx", type=click.Path(path_type=Path), required=True,
              help="File to write; one that is there is replaced.")  # fmt: skip
@click.option("--input", "kind", type=click.Choice(["uint8", "float32"]), default="uint8",
              show_default=True, help="Pixels that the graph takes: bytes from 0 to 255, or "
              "numbers from 0 to 1. The normalisation is inside.")  # fmt: skip
@click.option("--layout", type=click.Choice(["nhwc", "nchw"]), default="nhwc", show_default=True,
              help="Order of the axes of the images.")  # fmt: skip
@click.option("--resize/--no-resize", default=None, show_default="on, for uint8",
              help="Take images of any size, and resize and crop them as in training; without, "
              "images of the network's own size.")  # fmt: skip
@click.option("--softmax", is_flag=True, help="Give probabilities instead of logits.")
@click.option("--teacher", is_flag=True, help="Write the full network, not the pruned one.")
@click.option("--opset", type=int, metavar="N", show_default="17",
              help="Version of ONNX's operators.")  # fmt: skip
def command(run, out, kind, layout, resize, softmax, teacher, opset):
    """Write the network in RUN as ONNX, for onnxruntime and other runtimes.

    RUN is the folder of a run, or a .safetensors file that a run wrote. The number of images is
    free. The file's metadata names the classes. onnx.checker and, where it is installed,
    onnxruntime try the graph before the file is written.

    \b
    Examples:
      tinybar export runs/tiny -o tiny.onnx
      tinybar export runs/tiny -o tiny.onnx --input float32 --softmax
    """
    from ..deploy import load
    from ..deploy.export import export
    from ..report.text import shown
    from ..runtime.arrays import use_device

    use_device("cpu")
    predictor = load(run, teacher=teacher)
    difference = export(
        predictor, out, layout=layout, input=kind, resize=resize, softmax=softmax, opset=opset
    )
    verdict = (
        "onnxruntime is not installed: onnx.checker alone has tried it"
        if difference is None
        else f"onnxruntime's outputs differ from tinybar's by at most {difference:.1e}"
    )
    size = out.stat().st_size
    click.echo(f"{shown(str(out))}: {len(predictor.classes)} classes, {size:,} bytes; {verdict}")
