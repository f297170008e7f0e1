"""Decoding on all cores.

While Pillow decodes a small image it holds the interpreter, and threads wait for each other: on
two cores two of them took three times as long as one. So there are processes, which get paths or
contents through a pipe and send pixels back through another: lines of JSON, followed by bytes.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...runtime.threads import processors
from .pixels import Target, refuse_bombs

MANY = 4096  # images: for fewer, to start processes takes longer than they save
Batch = list[tuple[str | bytes, str]]  # (content or where it is, path for messages)


class Decoders:
    """As many processes as there are processors, if the images are many. Use as a context."""

    def __init__(self, target: Target, images: int):
        n = processors() if images >= MANY else 1
        self._workers = [_Process(target) for _ in range(n)] if n > 1 else [_Here(target)]
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(n)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_) -> None:
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def decode(self, batches: list[Batch]) -> Iterator[list[np.ndarray | None]]:
        """What `Target.pixels` gives for every image, batch by batch, in their order."""
        return self._threads.map(self._decode, batches)

    def _decode(self, batch: Batch) -> list[np.ndarray | None]:
        worker = self._idle.get()
        try:
            return worker.decode(batch)
        finally:
            self._idle.put(worker)


class _Here:
    """The work done in this process."""

    def __init__(self, target: Target):
        self.target = target

    def decode(self, batch: Batch) -> list[np.ndarray | None]:
        return [self.target.pixels(content, path) for content, path in batch]

    def close(self) -> None:
        pass


class _Process:
    """The work done in another one, which runs `serve`."""

    def __init__(self, target: Target):
        self.target = target
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from tinybar.data.files.decoders import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for us, who close it
        )
        self._send(target)

    def decode(self, batch: Batch) -> list[np.ndarray | None]:
        try:
            self._send([(len(c) if isinstance(c, bytes) else c, path) for c, path in batch])
            for content, _ in batch:
                if isinstance(content, bytes):
                    self.process.stdin.write(content)
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            if isinstance(answer, list):
                return [self._read() if is_there else None for is_there in answer]
        except (OSError, EOFError, json.JSONDecodeError) as error:
            raise RuntimeError("a process that decodes images has died") from error
        raise ValueError(answer)

    def _read(self) -> np.ndarray:
        size = math.prod(self.target.shape)
        content = self.process.stdout.read(size)
        if len(content) < size:
            raise EOFError
        return np.frombuffer(content, np.uint8).reshape(self.target.shape)

    def _send(self, message) -> None:
        # Names of files need not be valid Unicode; JSON writes what is not as escapes.
        self.process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def serve() -> None:
    """Decode what comes in by standard input, until it ends. For the processes of `Decoders`."""
    refuse_bombs()
    into, out = sys.stdin.buffer, sys.stdout.buffer
    shape, first, fits = json.loads(into.readline())
    target = Target(tuple(shape), first, fits)
    while line := into.readline():
        batch = [(into.read(c) if isinstance(c, int) else c, p) for c, p in json.loads(line)]
        try:
            decoded = [target.pixels(content, path) for content, path in batch]
            answer = [pixels is not None for pixels in decoded]
        except ValueError as error:
            decoded, answer = [], str(error)
        out.write(json.dumps(answer).encode("ascii") + b"\n")
        for pixels in decoded:
            if pixels is not None:
                out.write(pixels.tobytes())
        out.flush()
