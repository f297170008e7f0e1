"""How kernels are compiled, and how their work is shared among the cores."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

from ...runtime import threads
from ...runtime.blas import PerformanceWarning

# "contract", "reassoc", "nsz": fuse and reorder sums, but keep NaN and infinity what they are.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz"}, "error_model": "numpy"}
inline = numba.njit(inline="always", **OPTIONS)


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Compile `function` at its first call, or load it from where an earlier process kept it."""
    compiled = numba.njit(nogil=True, **OPTIONS | options)(function)
    try:
        compiled._cache = Cache(function)  # type: ignore[attr-defined]
    except (RuntimeError, OSError):  # as an ordinary user of a container may have it
        _warn_uncached("no folder for Numba's cache can be written")
    return compiled


def exact(function: Callable[..., Any]) -> Any:
    """As `kernel`, for a formula that is computed as it is written, as NumPy does."""
    return kernel(function, fastmath=False)


class Cache(FunctionCache):
    """Numba's cache on disk, whose damaged files and full disks cost time and nothing else."""

    def load_overload(self, *arguments: Any) -> Any:
        """The compiled function, or None."""
        return _or_none(super().load_overload, *arguments)

    def save_overload(self, *arguments: Any) -> Any:
        """Keep a compiled function."""
        return _or_none(super().save_overload, *arguments)


def _or_none(use, *arguments):
    try:
        return use(*arguments)
    except Exception as error:  # of any kind: what a damaged file makes of Numba's reader is open
        _warn_uncached(f"{type(error).__name__}: {error}")
    return None


@functools.cache
def _warn_uncached(reason: str) -> None:
    warnings.warn(
        f"compiled kernels cannot be kept on disk ({reason}): every process compiles them anew, "
        "which takes some seconds; NUMBA_CACHE_DIR may name a folder for them",
        PerformanceWarning,
        stacklevel=2,
    )


def share(work: Callable[[int, int], Any], n: int, numbers: int) -> list[Any]:
    """[work(first, last)] for ranges of n things, that are `numbers` numbers together."""
    count = min(n, 16, numbers // threads.WORTH_A_CORE)
    if count < 2 or threads.is_inside():
        return [work(0, n)]
    return threads.each(lambda part: work(part.start, part.stop), threads.slices(n, count))
