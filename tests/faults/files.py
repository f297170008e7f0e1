"""Thousands of damaged files: each is read as it was, as another valid one, or refused in one line.

    python tests/faults/files.py 10000 --seed 0                 a table; exit code 1 if any is wrong
    python tests/faults/files.py --seed 0 --only PNG 1000       of one kind
    python tests/faults/files.py --seed 0 --case 4711 -o DIR    what happened, and the files, in DIR

The files are read in a process with 2 GB of memory, which has 20 s for each. Wrong is: another
exception than a ValueError, a message of several lines or without the file's name, a process that
dies or hangs, and a file with a checksum that was changed and is accepted with other content.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MEMORY, PATIENCE, START = 2 << 30, 20, 40  # bytes, seconds, seconds until a process answers
VERDICTS = "unchanged", "other content", "refused", "wrong"


# --- in the process that reads -------------------------------------------------------------------


class Sample:
    """The valid files of a kind, in a folder of their own."""

    def __init__(self, name: str, root: Path):
        from faults.samples import BROKEN, KINDS, content_of

        self.kind, self.content_of = (KINDS | BROKEN)[name], content_of
        self.folder = root / name.replace(" ", "-")
        others = root / f"{name}-others"
        for folder in (self.folder, others):
            folder.mkdir()
        self.other = self.kind.make(others, 1).read_bytes()
        self.path = self.kind.make(self.folder, 0)
        self.files = {path: path.read_bytes() for path in self._there()}
        self.valid = content_of(self.kind.read(self.path))
        self.restore()

    def _there(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def restore(self) -> None:
        """Undo what reading has changed; files that are the same keep their time."""
        for path in set(self._there()) - self.files.keys():
            path.unlink()
        for path, content in self.files.items():
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)

    def changed(self, rng) -> tuple[bytes, str]:
        """(damaged content of the file, what was done)."""
        from faults.mutations import mutated

        content = self.files[self.path]
        if self.kind.layer is None or (rng.random() < 0.5 and not self.is_forged):
            return mutated(rng, content, self.other)
        inside, outside = self.kind.layer
        new, names = mutated(rng, inside(content), inside(self.other))
        return outside(new), f"inside: {names}"

    @property
    def is_forged(self) -> bool:
        return "forged" in self.folder.name

    def judge(self, content: bytes) -> tuple[str, str]:
        """(verdict, why)."""
        self.path.write_bytes(content)
        try:
            found = self.content_of(self.kind.read(self.path))
        except ValueError as error:
            message = str(error)
            if self.path.name not in message or len(message.splitlines()) != 1:
                return "wrong", f"message: {message!r:.300}"
            return "refused", message
        except BaseException:
            return "wrong", traceback.format_exc()
        finally:
            self.restore()
        if found == self.valid:
            return "unchanged", ""
        is_wrong = self.kind.sealed and content != self.files[self.path]
        return ("wrong", "accepted with other content") if is_wrong else ("other content", "")


def serve(seed: int, cases: list[tuple[int, str]], root: Path) -> None:
    """Judge the cases, a line of JSON for each. root: an empty folder, which keeps the last one."""
    import resource
    import warnings

    import numpy as np

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    samples: dict[str, Sample] = {}
    for number, name in cases:
        if name not in samples:
            samples[name] = Sample(name, root)
        content, change = samples[name].changed(np.random.default_rng([seed, number]))
        verdict, why = samples[name].judge(content)
        if number == cases[-1][0]:
            samples[name].path.write_bytes(content)
        print(json.dumps([number, verdict, f"{change}: {why}"]), flush=True)


# --- in the process that watches -----------------------------------------------------------------


def judged(
    seed: int, cases: list[tuple[int, str]], root: Path, patience: float = PATIENCE
) -> Iterator[tuple[str, int, str, str]]:
    """(kind, number, verdict, why) of every case. A process that dies or hangs is replaced."""
    done = 0
    while done < len(cases):
        folder = root / f"from-{cases[done][0]}"
        folder.mkdir()
        for line in _answers(seed, cases[done:], folder, patience):
            number, verdict, why = line or (cases[done][0], "wrong", "the process died or hung")
            yield cases[done][1], number, verdict, why
            done += 1


def _answers(seed: int, cases: list[tuple[int, str]], root: Path, patience: float) -> Iterator:
    """The answers of one process; None at the end if it did not answer for all."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "TINYBAR_FAST": "off"}
    pipe, lines = subprocess.PIPE, queue.SimpleQueue()
    with open(root / "stderr", "w+") as errors:
        command = [sys.executable, __file__, "--serve"]
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment
        )
        forward = threading.Thread(target=_forward, args=(process, lines), daemon=True)
        forward.start()
        process.stdin.write(json.dumps([seed, cases, str(root)]))
        process.stdin.close()
        try:
            for k in range(len(cases)):
                line = lines.get(timeout=patience + START * (k == 0))
                yield json.loads(line) if line else None
                if not line:
                    return
        except queue.Empty:
            yield None
        finally:
            process.kill()
            forward.join()
            process.stdout.close()
            if process.wait() == 1:  # an exception of this file, not of a reader
                errors.seek(0)
                raise RuntimeError(errors.read())


def _forward(process: subprocess.Popen, lines: queue.SimpleQueue) -> None:
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def table(counts: dict[str, Counter]) -> str:
    """A row for each kind."""
    rows = [("", *VERDICTS)]
    rows += [(kind, *(str(counts[kind][v]) for v in VERDICTS)) for kind in counts]
    rows += [("all", *(str(sum(c[v] for c in counts.values())) for v in VERDICTS))]
    return "\n".join(f"{row[0]:<24}" + "".join(f"{cell:>15}" for cell in row[1:]) for row in rows)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a kind of file")
    parser.add_argument("--case", type=int, help="the number of one case")
    parser.add_argument("-o", type=Path, help="an empty folder, for the files of that case")
    options = parser.parse_args()
    cases = cases_of(options.count if options.case is None else options.case + 1)
    if options.case is not None:
        cases = cases[options.case :]
    if options.only:
        cases = [case for case in cases if case[1] == options.only]
    counts: dict[str, Counter] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as temporary:
        for kind, number, verdict, why in judged(options.seed, cases, options.o or Path(temporary)):
            counts[kind][verdict] += 1
            if verdict == "wrong" or options.case is not None:
                print(f"case {number}, {kind}: {verdict}: {why}", flush=True)
    print(table(counts))
    return int(any(count["wrong"] for count in counts.values()))


def cases_of(count: int) -> list[tuple[int, str]]:
    """(number, kind) of so many cases: the kinds take turns."""
    from faults.samples import KINDS

    names = list(KINDS)
    return [(number, names[number % len(names)]) for number in range(count)]


if __name__ == "__main__":
    sys.path[0] = str(TESTS)
    if sys.argv[1:] == ["--serve"]:
        seed, cases, root = json.load(sys.stdin)
        serve(seed, cases, Path(root))
    else:
        sys.exit(main())
