"""Which kernel takes the place of a function, and when the reference is called."""

import subprocess
import sys

import numpy as np
import pytest

from tinybar import autograd as ag
from tinybar.autograd import norm
from tinybar.kernels import dispatch, in_place

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _compiled_kernels():
    dispatch.enable(True)
    yield
    dispatch.enable(False)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def test_no_name_twice():
    with pytest.raises(ValueError, match="'moments' exists already"):

        @dispatch.accelerated
        def moments(x):
            return x


@pytest.mark.parametrize(
    ("enabled", "dtype", "size", "expected"),
    [
        (True, "f4", 5, "numba"),
        (True, ">f4", 5, "reference"),
        (True, "i4", 5, "reference"),
        (False, "f4", 5, "in place"),
        (True, "f8", 5, "reference"),
        (False, "f8", 5, "reference"),
        (True, "f4", 0, "reference"),
        (False, "f4", 0, "reference"),
    ],
)
def test_the_order_of_choice(enabled, dtype, size, expected, monkeypatch):
    monkeypatch.setattr(dispatch, "_numba", lambda name: lambda *arguments: "numba")
    monkeypatch.setattr(in_place, "normalise_relu", lambda *arguments: "in place")
    dispatch.enable(enabled)
    x, row = np.ones((size, 3), dtype), np.ones(3, dtype)
    found = norm.normalise_relu(x, row, row, row)
    assert (found if isinstance(found, str) else "reference") == expected
    found = norm.normalise_relu.uncompiled(x, row, row, row)
    assert (found if isinstance(found, str) else "reference") == expected.replace(
        "numba", "in place"
    )


def test_one_array_of_another_precision_and_the_reference_decides(monkeypatch):
    x, row = np.ones((5, 3), "f4"), np.ones(3, "f4")
    for enabled in (True, False):
        dispatch.enable(enabled)
        assert norm.normalise_relu(x, row, row.astype("f8"), row).dtype == "f8"


def test_without_a_compiled_kernel_array_operations_are_used(monkeypatch):
    monkeypatch.setattr(in_place, "normalise_by_constants", lambda *arguments: "in place")
    x, row = np.ones((5, 3), "f4"), np.ones(3, "f4")
    assert norm.normalise_by_constants(x, row, row, row) == "in place"


def test_a_convolution_does_not_depend_on_it():
    x, w = normal(1, 2, 9, 8, 16), normal(2, 3, 3, 16, 8)
    run = lambda: ag.conv2d(x, w, padding=1, algorithm="winograd").data  # noqa: E731
    fast = run()
    dispatch.enable(False)
    assert not np.array_equal(fast, run())  # they are two ways to compute it
    np.testing.assert_allclose(fast, run(), rtol=0, atol=1e-5 * abs(fast).max())


@pytest.mark.parametrize(
    ("setting", "expected"), [("on", "True"), ("off", "False"), ("0", "False")]
)
def test_the_environment_switches_it_off(setting, expected, monkeypatch):
    monkeypatch.setenv("TINYBAR_FAST", setting)
    code = "from tinybar.kernels import dispatch; print(dispatch.is_available())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(expected)


def test_without_numba_nothing_compiled_is_used(monkeypatch):
    monkeypatch.setenv("TINYBAR_FAST", "on")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] == 'numba': raise ModuleNotFoundError(name=name)\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'numba' else found(name, *a)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import numpy as np\n"
        "from tinybar import autograd as ag\nfrom tinybar.kernels import dispatch\n"
        "ag.conv2d(np.ones((1, 4, 4, 8), 'f4'), np.ones((3, 3, 8, 8), 'f4'), padding=1)\n"
        "print(dispatch.is_available(), 'numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_numba_that_cannot_be_imported_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs\\nNumPy 2.2 or less')")
    monkeypatch.setenv("TINYBAR_FAST", "on")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np\nfrom tinybar import autograd as ag\n"
        "for _ in range(2):\n"
        "    y = ag.conv2d(np.ones((1, 4, 4, 1), 'f4'), np.ones((3, 3, 1, 1), 'f4'), padding=1)\n"
        "print(y.data[0, 1, 1, 0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "9.0"
    assert done.stderr.count("no compiled kernels: Numba: Numba needs NumPy 2.2 or less\n") == 1
