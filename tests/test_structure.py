"""The shape of the house: who may import whom, how long a file may be, what stays optional."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tinybar"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400  # lines of a file

# The rooms, from the ground up: each line may import from its own and from those above it here.
FLOORS = (
    "runtime",
    "kernels",
    "autograd",
    "__init__",  # tinybar itself: re-exports what is above
    "nn",
    "pruning",
    "data",
    "audit",
    "train",
    "sweep",
    "report",
    "deploy",
    "bench",
    "cli",
    "__main__",
)
RANKS = {room: rank for rank, room in enumerate(FLOORS)}


def room_of(path: Path) -> str:
    """The directory or module under tinybar/ that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below this one, but for what only a type checker sees."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = node.orelse
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield child
        yield from executed(child)


def imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported. package: that of the module, for `from .`."""
    for node in executed(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def imported_rooms(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and room of every import from tinybar; a name of tinybar itself is in "__init__"."""
    for line, name in imports(tree, package):
        root, _, rest = name.partition(".")
        if root == "tinybar":
            room = rest.partition(".")[0]
            exists = (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
            yield line, room if room and exists else "__init__"


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).parent.parts


def fail_with(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


# --- the order of imports ------------------------------------------------------------------------


def test_every_room_has_its_place():
    unknown = {room_of(path) for path in MODULES} - set(RANKS)
    assert not unknown, f"give these a line in FLOORS: {sorted(unknown)}"
    assert len(RANKS) == len(FLOORS), "a room stands in two lines of FLOORS"


def test_nothing_imports_upward():
    fail_with(
        [
            f"{path.relative_to(ROOT)}:{line}: {room_of(path)} must not import {room}"
            for path in MODULES
            for line, room in imported_rooms(parse(path), package_of(path))
            if RANKS.get(room, 0) > RANKS.get(room_of(path), len(FLOORS))
        ]
    )


def test_rooms_do_not_import_each_other_in_a_circle():
    edges = {
        (room_of(path), room)
        for path in MODULES
        for _, room in imported_rooms(parse(path), package_of(path))
        if room not in (room_of(path), "__init__")
    }
    rooms = {room for edge in edges for room in edge}
    while free := {room for room in rooms if not any(start == room for start, _ in edges)}:
        rooms -= free
        edges = {edge for edge in edges if edge[1] not in free}
    assert not rooms, f"these import each other in a circle: {sorted(rooms)}"


@pytest.mark.parametrize(
    ("code", "rooms"),
    [
        ("from ..data import load", ["data"]),
        ("from .. import data", ["data"]),
        ("from .. import __version__", ["__init__"]),
        ("from .conv import conv2d", ["nn"]),
        ("from . import conv", ["nn"]),
        ("import tinybar", ["__init__"]),
        ("import tinybar.train as t", ["train"]),
        ("from tinybar.train.run import train", ["train"]),
        ("def f():\n    from ..cli import entry", ["cli"]),
        ("if TYPE_CHECKING:\n    from ..cli import entry\nelse:\n    import tinybar.nn", ["nn"]),
        ("import numpy as np\nfrom math import pi", []),
    ],
)
def test_of_the_test_imports_are_found(code, rooms):
    found = imported_rooms(ast.parse(code), ("tinybar", "nn"))
    assert [room for _, room in found] == rooms


# --- what is optional, and what is forbidden -----------------------------------------------------


def test_importing_tinybar_loads_numpy_and_nothing_else():
    code = """
import sys
before = set(sys.modules)
import tinybar
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names) - {"tinybar", "numpy"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


PEERS = {"torch", "torchvision", "torch_pruning", "tinygrad", "autograd"}  # of benchmarks/


def test_no_peer_is_imported():
    fail_with(
        [
            f"{path.relative_to(ROOT)}:{line}: {name}"
            for path in MODULES
            for line, name in imports(parse(path), package_of(path))
            if name.partition(".")[0] in PEERS
        ]
    )


PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def unpickles(tree: ast.Module) -> list[int]:
    """Lines that import a module for pickles, or allow NumPy to load one."""
    lines = [line for line, name in imports(tree, ()) if name.partition(".")[0] in PICKLES]
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            allowed = not isinstance(node.value, ast.Constant) or node.value.value is not False
            lines += [node.value.lineno] * allowed
    return lines


def test_nothing_is_ever_unpickled():
    fail_with(
        [f"{path.relative_to(ROOT)}:{line}" for path in MODULES for line in unpickles(parse(path))]
    )


def test_of_the_test_pickles_are_found():
    code = "import pickle\nfrom joblib import load\nnp.load(f, allow_pickle=True)\nload(f, **o)"
    assert unpickles(ast.parse(code)) == [1, 2, 3]
    assert unpickles(ast.parse("np.load(f, allow_pickle=False)")) == []


# --- what can be read at a sitting ---------------------------------------------------------------


def test_no_file_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in (*MODULES, *(ROOT / "tests").rglob("*.py"))
    }
    fail_with([f"{name}: {n} lines" for name, n in lengths.items() if n > LONGEST])


def test_few_modules_stand_outside_the_rooms():
    assert len(list(PACKAGE.glob("*.py"))) <= 5


def mathematics() -> list[Path]:
    """The files that docs/audit.md names as the mathematics of the paper."""
    text = (ROOT / "docs" / "audit.md").read_text("utf-8")
    part = text.partition("## What to read")[2].partition("## Equations")[0]
    return [
        ROOT / name for name in re.findall(r"^\| `(tinybar/[\w/]+\.py)` \|", part, re.MULTILINE)
    ]


def test_the_mathematics_is_short():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in mathematics()}
    assert len(lengths) > 8
    assert sum(lengths.values()) < 1000, lengths


@pytest.mark.parametrize("word", ["shrink", "skip", "numba", "cuda", "click", "thread"])
def test_the_mathematics_stands_apart(word):
    assert not [path.name for path in mathematics() if word in path.read_text("utf-8").lower()]


def test_everything_public_has_a_docstring():
    missing = []
    for path in MODULES:
        tree = parse(path)
        public = [tree] + [
            node
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and not node.name.startswith("_")
        ]
        missing += [
            f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: "
            f"{getattr(node, 'name', 'the module')}"
            for node in public
            if not ast.get_docstring(node)
        ]
    fail_with(missing)


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
