"""A saved network as an ONNX file that has been checked before it is there."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.files import write_whole
from .images import read_images
from .preprocessing import Preprocessing

if TYPE_CHECKING:
    from onnx import ModelProto

    from .predictor import Predictor

TOLERANCE = 1e-4  # of an output, relative to the largest one if that is above 1
SIZES = (1, 1), (2.5, 1.7), (0.6, 0.9)  # of images that are tried, in heights and widths


def export(
    predictor: Predictor,
    path: Path,
    *,
    layout: str = "nhwc",
    input: str = "uint8",
    resize: bool | None = None,
    softmax: bool = False,
    opset: int | None = None,
) -> float | None:
    """Write the network as ONNX; the largest difference between its outputs and tinybar's.

    layout, input, resize: as for `Preprocessing`; None is on, for uint8. softmax: for probabilities
    instead of logits. The model's metadata has `classes` and `preprocessing`, in JSON.
    onnx.checker and onnxruntime try the graph before the file gets its name; the result is None
    where there is no onnxruntime. Raises ValueError where there is no onnx and for options that do
    not go together, RuntimeError where onnxruntime computes something else, OSError where the file
    cannot be written.
    """
    if find_spec("onnx") is None:
        raise ValueError("the export needs onnx: pip install 'tinybar[onnx]'")
    import onnx

    from .onnx import OPSET, to_onnx

    how = Preprocessing(
        predictor.mean, predictor.std, layout, input, input == "uint8" if resize is None else resize
    )
    model = to_onnx(predictor.network, None, how, softmax, OPSET if opset is None else opset)
    onnx.helper.set_model_props(model, metadata(predictor, how))
    onnx.checker.check_model(model, full_check=True)
    difference = None
    if find_spec("onnxruntime") is not None:
        difference = largest_difference(model, predictor, how, softmax)
    write_whole(Path(path), lambda temporary: temporary.write_bytes(model.SerializeToString()))
    return difference


def metadata(predictor: Predictor, how: Preprocessing) -> dict[str, str]:
    """What the file says of its classes and of its input, in JSON."""
    height, width, channels = predictor.image_shape
    steps = {
        "layout": how.layout,
        "input": how.input,
        "range": [0, 255] if how.input == "uint8" else [0, 1],
        "colours": "grey" if channels == 1 else "RGB",
        "size": [height, width],
        "resize": "inside: any size; cover, centre" if how.resize else "outside",
        "mean": predictor.mean.tolist(),
        "std": predictor.std.tolist(),
    }
    return {"classes": json.dumps(predictor.classes), "preprocessing": json.dumps(steps)}


def largest_difference(
    model: ModelProto, predictor: Predictor, how: Preprocessing, softmax: bool
) -> float:
    """Between the outputs of onnxruntime and of tinybar, each for its own reading of noise.

    Raises RuntimeError where it is above TOLERANCE.
    """
    import onnxruntime

    from .predictor import probabilities

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    worst = 0.0
    for images in noise(predictor.image_shape, SIZES if how.resize else SIZES[:1]):
        logits = predictor.logits(pixels_of(images, predictor.image_shape))
        expected = probabilities(logits) if softmax else logits
        given: Any = images if how.input == "uint8" else np.float32(images / 255)
        given = given if how.layout == "nhwc" else given.transpose(0, 3, 1, 2)
        (found,) = session.run(None, {"images": np.ascontiguousarray(given)})
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise RuntimeError(
                f"onnxruntime {onnxruntime.__version__} computes outputs that differ by "
                f"{difference:.1e} from tinybar's: no file was written"
            )
        worst = max(worst, difference)
    return worst


def noise(image_shape: tuple[int, int, int], sizes) -> list[np.ndarray]:
    """Two images (2, h, w, C) of uint8 for each size."""
    (height, width, channels), rng = image_shape, np.random.default_rng(0)
    shapes = [(2, round(a * height) or 1, round(b * width) or 1, channels) for a, b in sizes]
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def pixels_of(images: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Images of any one size as tinybar reads them from files."""
    from PIL import Image

    squeezed = images[..., 0] if images.shape[-1] == 1 else images
    return read_images(map(Image.fromarray, squeezed), image_shape)
