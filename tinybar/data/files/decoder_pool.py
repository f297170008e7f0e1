"""Decoding in one process per core.

Pillow holds the GIL while it decodes a small image: on two cores, two threads took three times as
long as one. The processes get paths or contents through a pipe and return pixels through another:
lines of JSON, followed by bytes.
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
from typing import Any

import numpy as np

from ...runtime.files import FileError
from ...runtime.threads import processors
from .decoder import Batch, Decoder, filter_warnings

MIN_IMAGES = 4096  # for fewer, starting processes takes longer than they save


class DecoderPool:
    """One process per core if there are at least MIN_IMAGES images. A context manager."""

    def __init__(self, decoder: Decoder, images: int):
        n = processors() if images >= MIN_IMAGES else 1
        self.decoder = decoder
        self.processes: list[_Process] = [_Process(decoder) for _ in range(n)] if n > 1 else []
        self._threads = ThreadPoolExecutor(n)  # one waits for each process
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self.processes:
            self._idle.put(process)

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self.processes:
            process.close()

    def decode(self, batches: list[Batch]) -> Iterator[list[np.ndarray | str | None]]:
        """`Decoder.decode_all` of every batch, in their order."""
        if not self.processes:
            return map(self.decoder.decode_all, batches)
        return self._threads.map(self._decode, batches)

    def _decode(self, batch: Batch) -> list[np.ndarray | str | None]:
        process = self._idle.get()
        try:
            return process.decode(batch)
        finally:
            self._idle.put(process)


class _Process:
    """Decodes in another process, which runs `serve`."""

    def __init__(self, decoder: Decoder):
        self.shape = decoder.shape
        code = f"from {__name__} import serve; serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C interrupts this process, which closes the other
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._send(decoder)

    def decode(self, batch: Batch) -> list[np.ndarray | str | None]:
        try:
            self._send([(len(c) if isinstance(c, bytes) else c, path) for c, path in batch])
            for content, _ in batch:
                if isinstance(content, bytes):
                    self.stdin.write(content)
            self.stdin.flush()
            answer = json.loads(self.stdout.readline())
            if isinstance(answer, list):
                return [self._read() if one is True else one or None for one in answer]
        except (OSError, EOFError, json.JSONDecodeError) as error:
            raise RuntimeError("a process that decodes images has died") from error
        raise FileError(answer)

    def _read(self) -> np.ndarray:
        size = math.prod(self.shape)
        content = self.stdout.read(size)
        if len(content) < size:
            raise EOFError
        return np.frombuffer(content, np.uint8).reshape(self.shape)

    def _send(self, message: Any) -> None:
        # Names of files need not be valid Unicode; JSON escapes what is not.
        self.stdin.write(json.dumps(message).encode("ascii") + b"\n")
        self.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def serve() -> None:
    """Decode batches from standard input until it ends. The main function of a process."""
    filter_warnings()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    shape, *rest = json.loads(stdin.readline())
    decoder = Decoder(tuple(shape), *rest)
    while line := stdin.readline():
        batch = [(stdin.read(c) if isinstance(c, int) else c, p) for c, p in json.loads(line)]
        try:
            decoded = decoder.decode_all(batch)
            answer: Any = [p if isinstance(p, str) else p is not None for p in decoded]
        except ValueError as error:
            decoded, answer = [], str(error)
        stdout.write(json.dumps(answer).encode("ascii") + b"\n")
        for pixels in decoded:
            if isinstance(pixels, np.ndarray):
                stdout.write(pixels.tobytes())
        stdout.flush()
