"""docs/deploy.md: onnxruntime computes what tinybar computes, and INT8 costs so much accuracy.

    python benchmarks/deploy.py RUN FOLDER [FOLDER...]                  # differences
    python benchmarks/deploy.py RUN photos/test --calibrate photos/train  # INT8, too

Both read the files on their own: tinybar through its decoder, onnxruntime what Pillow decodes;
resize, crop and normalisation are inside the graph. The folders are named for classes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from PIL import Image, ImageOps

import tinybar as tb
from tinybar.data.files.folders import ImageFile
from tinybar.deploy.images import list_images

CALIBRATION = 200  # images
QUANTISED = ["Conv", "Gemm", "Add"]  # the resize is exact in integers as it is


def decoded(file: ImageFile, channels: int) -> np.ndarray:
    """(1, h, w, C) uint8: decoded and turned upright, of its own size."""
    image = ImageOps.exif_transpose(Image.open(file.path)).convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(1, image.height, image.width, channels)


class Photographs(CalibrationDataReader):
    """Some of the files, one at a time, as onnxruntime's quantizer asks for them."""

    def __init__(self, files: list[ImageFile], channels: int):
        chosen = np.random.default_rng(0).permutation(len(files))[:CALIBRATION]
        self.images = iter({"images": decoded(files[k], channels)} for k in chosen)

    def get_next(self) -> dict | None:
        """The inputs of the next run, None after the last one."""
        return next(self.images, None)


def outputs(path: Path, files: list[ImageFile], channels: int) -> tuple[np.ndarray, float]:
    """(logits, median milliseconds of an image) in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found, times = [], []
    for file in files:
        image = decoded(file, channels)
        start = time.perf_counter()
        found += session.run(None, {"images": image})
        times.append(1000 * (time.perf_counter() - start))
    return np.concatenate(found), float(np.median(times))


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--teacher", action="store_true")
    parser.add_argument("--calibrate", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    predictor = tb.load(given.run, teacher=given.teacher)
    channels, (files, _) = predictor.image_shape[2], list_images(given.folders)
    labels = np.array([predictor.classes.index(file.class_name) for file in files])
    expected = np.concatenate(list(predictor.logits_of_files(files)))
    print(f"{given.run}: {predictor!r}, {len(files):,} files")
    print(f"tinybar      accuracy {np.mean(expected.argmax(1) == labels):.4f}")
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "net.onnx", Path(folder) / "int8.onnx"
        predictor.export(whole)
        found, milliseconds = outputs(whole, files, channels)
        classes = json.loads(onnxruntime.InferenceSession(whole).get_modelmeta()
                             .custom_metadata_map["classes"])  # fmt: skip
        assert classes == list(predictor.classes)
        tell("onnxruntime", found, milliseconds, whole, labels)
        print(f"             logits differ by at most {np.abs(found - expected).max():.1e}, up to "
              f"{np.abs(expected).max():.1f} in size")  # fmt: skip
        if given.calibrate:
            reader = Photographs(list_images([given.calibrate]).files, channels)
            quantize_static(whole, small, reader, op_types_to_quantize=QUANTISED, per_channel=True)
            tell("INT8", *outputs(small, files, channels), small, labels)


def tell(name: str, found: np.ndarray, milliseconds: float, path: Path, labels) -> None:
    """Accuracy, latency and size."""
    print(f"{name:12} accuracy {np.mean(found.argmax(1) == labels):.4f}, {milliseconds:.3f} ms an "
          f"image, {path.stat().st_size / 1024:,.0f} KiB")  # fmt: skip


if __name__ == "__main__":
    main()
