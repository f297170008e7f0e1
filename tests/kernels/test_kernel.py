"""Kernels are compiled wherever Numba runs, kept on disk where that is possible."""

import importlib.util
import warnings

import pytest

from tinybar.runtime.blas import PerformanceWarning

numba = pytest.importorskip("numba")
kernels = pytest.importorskip("tinybar.kernels.numba.kernel")


@pytest.fixture
def double(tmp_path, monkeypatch):
    """A function to compile, in a file of its own."""
    (tmp_path / "double.py").write_text("def double(x):\n    return x + x\n")
    spec = importlib.util.spec_from_file_location("double", tmp_path / "double.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    kernels._warn_uncached.cache_clear()
    return module.double


def cached(tmp_path, pattern):
    return sorted((tmp_path / "cache").rglob(pattern))


def test_a_kernel_is_kept_on_disk(double, tmp_path):
    assert kernels.kernel(double)(2) == 4
    assert cached(tmp_path, "*.nbc")
    again = kernels.kernel(double)
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_without_a_folder_it_is_compiled_anew(double, monkeypatch):
    """As for a user without a writable home, with tinybar installed by another."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    with pytest.warns(PerformanceWarning, match="no folder .* can be written.* NUMBA_CACHE_DIR"):
        compiled = kernels.kernel(double)
    with warnings.catch_warnings(action="error"):  # once is enough
        assert compiled(2) == kernels.kernel(double)(2) == 4


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_file_is_compiled_anew(pattern, content, double, tmp_path):
    assert kernels.kernel(double)(2) == 4
    (file,) = cached(tmp_path, pattern)
    file.write_bytes(content)
    with pytest.warns(PerformanceWarning, match="cannot be kept on disk"):
        assert kernels.kernel(double)(2) == 4


def test_a_folder_that_cannot_be_written_any_more(double, tmp_path):
    compiled = kernels.kernel(double)
    (folder,) = (tmp_path / "cache").iterdir()
    folder.rmdir()
    folder.write_text("a file")
    with pytest.warns(PerformanceWarning, match="NotADirectoryError|FileExistsError"):
        assert compiled(2) == 4
