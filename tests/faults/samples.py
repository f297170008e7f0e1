"""Small valid files of every kind that tinybar reads, with the reader that tinybar uses."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import json
import lzma
import os
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tomli_w
from data.making import idx, in_folder, in_tar, in_zip, noise, tree
from report.pages.making import result, sweep
from safetensors.numpy import save_file

from tinybar import nn, pruning
from tinybar.data import Dataset, Split, load
from tinybar.data.files.idx import read_split
from tinybar.data.named import digits
from tinybar.data.named.cifar import CIFAR10
from tinybar.nn.pretrained import load_weights
from tinybar.report.pages import rows
from tinybar.report.pages.results import load_metrics, load_result
from tinybar.runtime import random
from tinybar.runtime.files import save_arrays, write_json
from tinybar.train.config import Config, load_preset
from tinybar.train.folder import Checkpoint, RunFolder
from tinybar.train.models import load_model, save_model


class Kind(NamedTuple):
    """A kind of file.

    make: writes valid files into a folder, different ones for different seeds; returns the path of
    the one to be changed. read: what tinybar makes of the file at that path. sealed: whether a
    checksum promises that a changed file is never taken for a valid one. layer: (open, close), if
    changes are made inside a compression or a checksum, too.
    """

    make: Callable[[Path, int], Path]
    read: Callable[[Path], object]
    sealed: bool = False
    layer: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]] | None = None


def content_of(value) -> object:
    """A form of what was read that can be compared: arrays become dtype, shape and checksum."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, nn.Module):
        return content_of([value.state_dict(), vars(value).get("layout"), value.image_shape])
    if isinstance(value, Dataset):
        return content_of([value.classes, value.train, value.test, value.augmentation, value.scale])
    if isinstance(value, dict):
        return sorted((name, content_of(entry)) for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return [content_of(entry) for entry in value]
    if isinstance(value, Split):
        return content_of([value.images, value.labels])
    return repr(value)


# --- networks and runs


def sealed_again(content: bytes) -> bytes:
    """The file with this header and arrays, and with the length and the checksum that are right."""
    text = content.decode("latin-1")
    try:
        end = json.JSONDecoder().raw_decode(text)[1]
        digest = json.loads(json.loads(text[:end])["__metadata__"]["tinybar"])["sha256"].encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return len(content).to_bytes(8, "little") + content
    end += len(content[end:]) - len(content[end:].lstrip(b" "))
    content = end.to_bytes(8, "little") + content.replace(digest, b"0" * 64, 1)
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


SEAL = lambda content: content[8:], sealed_again


def network(seed: int, compact: bool = False):
    random.seed(seed)
    model = nn.build("wrn-10-1", 3, (6, 5, 1), nn.HardConcrete if compact else None)
    if not compact:
        return model.eval()
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = np.random.default_rng(seed).normal(-2.5, 1, gate.log_alpha.shape)
    return pruning.compact(model)


def toy_data() -> Dataset:
    split = Split(noise(6, 6, 5, 1), np.arange(6) % 3)
    return Dataset("toy", ("a", "b", "c"), split, split)


def saved(compact: bool):
    def make(folder: Path, seed: int) -> Path:
        path = folder / "network.safetensors"
        save_model(path, network(seed, compact), toy_data())
        return path

    return make


def pytorch(folder: Path, seed: int) -> Path:
    from nn.test_pretrained import theirs

    path = folder / "pytorch.safetensors"
    save_file(theirs(network(seed), [1, 1, 1]), path)
    return path


def read_weights(path: Path) -> nn.Module:
    model = network(2)
    load_weights(model, path)
    return model


def run_folder(folder: Path) -> RunFolder:
    return RunFolder.create(folder / "run", Config(seed=3))


def checkpoint(folder: Path, seed: int) -> Path:
    run, net = run_folder(folder), network(seed, compact=True)
    optimizer = nn.Adam(net.parameters())
    arrays = {f"model/{name}": array for name, array in net.state_dict().items()}
    arrays |= {f"optimizer/{name}": array for name, array in optimizer.state_dict().items()}
    of_type = {"str": "prune", "int": 1, "dict": {"seed": seed}}
    fields = {f.name: f.type.partition("[")[0] for f in dataclasses.fields(Checkpoint)}
    del fields["arrays"]  # beside the header
    about = {name: of_type[kind] for name, kind in fields.items() if kind in of_type}
    run.metrics.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    path = run.path / "checkpoint.safetensors"
    save_arrays(path, arrays, about, "checkpoint")
    return path


def read_checkpoint(path: Path) -> object:
    found = RunFolder.open(path.parent).load_checkpoint()
    net = network(0, compact=True)
    found.restore(net, nn.Adam(net.parameters()))
    return vars(found), net


def metrics(folder: Path, seed: int) -> Path:
    return checkpoint(folder, seed).with_name("metrics.jsonl")


def epochs(folder: Path, seed: int) -> Path:
    run = run_folder(folder)
    record = {"stage": "prune", "cost": 9, "loss_data": 0.1 + seed, "loss_penalty": 0.0}
    run.append_metrics(record | {"f": None, "b": 10.5, "accuracy_train": 0.5})
    return run.metrics


def run_result(folder: Path, seed: int) -> Path:
    path = folder / "result.json"
    write_json(path, result(accuracy=0.5, volume=seed + 1, channels=[["stem", 1, 2, 9]]))
    return path


def table_of_results(folder: Path, seed: int) -> Path:
    return sweep(folder / "sweep", lambda *_: 0.5, factors=[2 + seed]) / "results.csv"


def stage(folder: Path, seed: int) -> Path:
    run = run_folder(folder)
    run.save_stage("prune", network(seed, compact=True), {"seed": seed})
    return run.path / "stages" / "prune.safetensors"


def config(folder: Path, seed: int) -> Path:
    values = {"data": "photos", "lr": 0.1, "teacher": "net", "epochs": (seed + 2, 1, 1)}
    return RunFolder.create(folder / "run", Config(**values)).config


def preset(folder: Path, seed: int) -> Path:
    path = folder / "my.toml"
    path.write_text(tomli_w.dumps({"model": "wrn-10-1", "lr": 0.1 + seed, "epochs": [1, 1, 1]}))
    return path


# --- data sets


def digits_archive(folder: Path, seed: int) -> Path:
    path = folder / "digits.npz"
    shutil.copy(digits.find_archive(), path)
    return path


def read_digits(path: Path) -> Dataset:
    found, digits.find_archive = digits.find_archive, lambda: path
    try:
        return load("digits")
    finally:
        digits.find_archive = found


def with_right_sums(content: bytes) -> bytes:
    """The PNG with the checksums that its chunks should have."""
    parts, k = [content[:8]], 8
    while k < len(content):
        end = k + 8 + int.from_bytes(content[k : k + 4], "big")
        parts += [content[k:end], zlib.crc32(content[k + 4 : end]).to_bytes(4, "big")]
        k = end + 4
    return b"".join(parts)


def images(suffix: str):
    def make(folder: Path, seed: int) -> Path:
        in_folder(folder / "photos", tree(shape=(6 + seed, 5, 3), suffix=suffix))
        return folder / "photos" / "train" / "cat" / f"1.{suffix}"

    return make


def archive(name: str, write: Callable):
    def make(folder: Path, seed: int) -> Path:
        return write(folder / name, tree(shape=(6, 5 + seed, 3)))

    return make


def cache(pattern: str):
    def make(folder: Path, seed: int) -> Path:
        source = in_zip(folder / "photos.zip", tree(shape=(6, 5 + seed, 3)))
        load(source, cache_dir=folder / "cache")
        (path,) = (folder / "cache").glob(pattern)
        return path

    return make


def with_its_sum(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def read_cached(path: Path) -> Dataset:
    return load(path.parents[1] / "photos.zip", cache_dir=path.parent)


def idx_pair(suffix: str):
    def make(folder: Path, seed: int) -> Path:
        pack = gzip.compress if suffix else bytes
        (folder / f"labels{suffix}").write_bytes(pack(idx(np.arange(9) % 3)))
        path = folder / f"images{suffix}"
        path.write_bytes(pack(idx(noise(9, 5 + seed, 4))))
        return path

    return make


def read_idx_pair(path: Path) -> Split:
    return read_split(path, path.with_name(path.name.replace("images", "labels")))


def cifar_files(seed: int) -> dict[str, bytes]:
    records = b"".join(bytes([k]) + noise(3072, seed=k + seed).tobytes() for k in range(10))
    names = "\n".join(f"class {k}" for k in range(10)).encode()
    files = dict.fromkeys(CIFAR10.train + CIFAR10.test, records) | {CIFAR10.classes: names}
    return {f"{CIFAR10.folder}/{name}": content for name, content in files.items()}


def cifar(folder: Path, seed: int) -> Path:
    in_folder(folder / "cifar10", cifar_files(seed))
    return folder / "cifar10" / CIFAR10.folder / CIFAR10.train[0]


def read_cifar(path: Path) -> Dataset:
    return load("cifar10", cache_dir=path.parents[2])


def cifar_archive(folder: Path, seed: int) -> Path:
    return in_tar(folder / CIFAR10.archive, cifar_files(seed))


def tar(mode: str):
    return lambda path, contents: in_tar(path, contents, mode)


GZIP = gzip.decompress, gzip.compress
KINDS = {
    "network": Kind(saved(compact=False), load_model, sealed=True),
    "compact network": Kind(saved(compact=True), load_model, sealed=True),
    "checkpoint": Kind(checkpoint, read_checkpoint, sealed=True),
    "stage": Kind(stage, lambda path: RunFolder.open(path.parents[1]).load_stage("prune"), True),
    "cached images": Kind(cache("*.npy"), read_cached, sealed=True),
    "forged cache": Kind(cache("*.npy"), read_cached, layer=(lambda c: c[:-32], with_its_sum)),
    "cached list": Kind(cache("*.json"), read_cached, sealed=True),
    "forged network": Kind(saved(compact=False), load_model, layer=SEAL),
    "forged compact network": Kind(saved(compact=True), load_model, layer=SEAL),
    "forged checkpoint": Kind(checkpoint, read_checkpoint, layer=SEAL),
    "teacher": Kind(saved(compact=False), read_weights, sealed=True),
    "forged teacher": Kind(saved(compact=False), read_weights, layer=SEAL),
    "PyTorch's weights": Kind(pytorch, read_weights),
    "config.toml": Kind(config, lambda path: RunFolder.open(path.parent).load_config()),
    "preset": Kind(preset, lambda path: load_preset(str(path))),
    "metrics.jsonl": Kind(metrics, read_checkpoint),
    "metrics.jsonl for a page": Kind(epochs, load_metrics),
    "result.json": Kind(run_result, lambda path: load_result(RunFolder(path.parent))),
    "results.csv": Kind(table_of_results, lambda path: rows.load([path.parent]).lines),
    "digits.npz": Kind(digits_archive, read_digits),
    "PNG": Kind(images("png"), lambda path: load(path.parents[2]), layer=(bytes, with_right_sums)),
    "JPEG": Kind(images("jpg"), lambda path: load(path.parents[2])),
    "idx": Kind(idx_pair(""), read_idx_pair),
    "idx.gz": Kind(idx_pair(".gz"), read_idx_pair, layer=GZIP),
    "CIFAR": Kind(cifar, read_cifar),
    "CIFAR's archive": Kind(
        cifar_archive, lambda path: load("cifar10", cache_dir=path.parent), layer=GZIP
    ),
    "zip": Kind(archive("photos.zip", in_zip), load),
    "tar": Kind(archive("photos.tar", tar("w")), load),
    "tar.gz": Kind(archive("photos.tar.gz", tar("w:gz")), load, layer=GZIP),
    "tar.xz": Kind(
        archive("photos.tar.xz", tar("w:xz")), load, layer=(lzma.decompress, lzma.compress)
    ),
    "tar.bz2": Kind(
        archive("photos.tar.bz2", tar("w:bz2")), load, layer=(bz2.decompress, bz2.compress)
    ),
}


# --- readers that do what none should


def changed_text(act: Callable[[Path], object]) -> Kind:
    """Text files; a changed one makes the reader act."""

    def make(folder: Path, seed: int) -> Path:
        (folder / "text").write_text("valid")
        return folder / "text"

    return Kind(make, lambda path: path.read_bytes() == b"valid" or act(path))


def fail(kind: type, message: str):
    def act(path: Path):
        raise kind(message.format(path))

    return act


BROKEN = {
    "hangs": changed_text(lambda path: time.sleep(60)),
    "dies": changed_text(lambda path: os._exit(3)),
    "takes memory": changed_text(lambda path: bytearray(3 << 30)),
    "KeyError": changed_text(fail(KeyError, "{}")),
    "two lines": changed_text(fail(ValueError, "{} is\nwrong")),
    "no name": changed_text(fail(ValueError, "it is wrong")),
    "sealed": changed_text(lambda path: "other")._replace(sealed=True),
    "not sealed": changed_text(lambda path: "other"),
    "right": changed_text(fail(ValueError, "{} is wrong")),
}
