"""The kernels and threads of BLAS, the library behind NumPy's matrix products.

Neither changes which function is computed, only how fast.

OpenBLAS reads OPENBLAS_CORETYPE once, when NumPy is loaded, so `prepare` runs before that. NumPy's
wheels carry kernels up to "SkylakeX" (AVX-512) and choose by the processor's family and model. A
model that their tables do not know gets "Haswell" (AVX2) or even "Prescott" (SSE3). This was tried
on OpenBLAS 0.3.27, 0.3.29 and 0.3.31 (NumPy 2.0, 2.2, 2.4) by answering CPUID for other
processors: AMD families 25 to 27 and Intel family 6 get AVX-512; Intel's Cannon Lake (Haswell) and
families 18 and 19 (Prescott) do not. AVX-512 of other vendors is not looked for. The flags in
/proc/cpuinfo depend on no table, so they decide here.

    TINYBAR_OPENBLAS=default    leave OpenBLAS alone
    TINYBAR_OPENBLAS=Haswell    (or any other core type) use that one
    OPENBLAS_CORETYPE=...       OpenBLAS's own variable; where it is set, it is respected

The variable is removed as soon as NumPy is loaded (`restore_environment`), so no child process
inherits it: a child that imports tinybar decides for itself.

Where NumPy was loaded before tinybar, the kernels stay what they are, and a `PerformanceWarning`
says so if better ones exist. The function that OpenBLAS chooses them with (`gotoblas_dynamic_init`)
is not part of its interface, and would replace the table of kernels while other threads use it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .processors import processors

AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"})
AVX512_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")  # as OpenBLAS calls them
LATE = "NumPy was already loaded when tinybar was imported"


class PerformanceWarning(UserWarning):
    """The result is right, but takes longer than necessary."""


class Decision(NamedTuple):
    """core_type: for OPENBLAS_CORETYPE, or None.   reason: a sentence.   by_user: who decided."""

    core_type: str | None
    reason: str
    by_user: bool = False


_decision = Decision(None, "tinybar decided nothing yet")


# --- before NumPy is loaded -----------------------------------------------------------------------


def prepare() -> None:
    """Choose the kernels of OpenBLAS. To be called before NumPy is imported; cheap."""
    global _decision
    _decision = _decide(is_loaded="numpy" in sys.modules)
    if _decision.core_type is not None:
        os.environ["OPENBLAS_CORETYPE"] = _decision.core_type


def _decide(is_loaded: bool) -> Decision:
    system = f"{sys.platform} {platform.machine()}"
    return choose_core_type(os.environ, is_loaded, system, _processor(), _is_wheel())


def choose_core_type(
    environ: Mapping[str, str],
    is_loaded: bool,
    system: str,
    processor: dict[str, str],
    is_wheel: bool,
) -> Decision:
    """The decision on the kernels of OpenBLAS.

    environ: the environment; is_loaded: whether NumPy is; system: "linux x86_64" is the only one we
    know; processor: the fields of /proc/cpuinfo; is_wheel: whether NumPy brings its own OpenBLAS.
    """
    wish = environ.get("TINYBAR_OPENBLAS", "")
    if wish == "default":
        return Decision(None, "OpenBLAS left alone: TINYBAR_OPENBLAS=default", by_user=True)
    if "OPENBLAS_CORETYPE" in environ:
        variable = f"OPENBLAS_CORETYPE={environ['OPENBLAS_CORETYPE']}"
        return Decision(None, f"OpenBLAS left alone: {variable} is set", by_user=True)
    if is_loaded:
        return Decision(None, LATE)
    if wish:
        reason = f"OpenBLAS core type set to {wish}: TINYBAR_OPENBLAS={wish}"
        return Decision(wish, reason, by_user=True)
    if system != "linux x86_64":
        return Decision(None, f"OpenBLAS left alone: nothing is known to be better on {system}")
    if not _has_avx512(processor):
        return Decision(None, "OpenBLAS left alone: the processor has no AVX-512")
    if not is_wheel:
        # Another build may have kernels beyond SkylakeX, for which this would be a step back.
        return Decision(None, "OpenBLAS left alone: NumPy does not come with its own copy of it")
    return Decision("SkylakeX", "OpenBLAS core type set to SkylakeX: the processor has AVX-512")


def _processor() -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo; empty where there is no such file."""
    fields = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                break  # a blank line: the next processor
            fields[name.strip()] = value.strip()
    return fields


def _has_avx512(processor: dict[str, Any]) -> bool:
    return set(processor.get("flags", "").split()) >= AVX512


def _is_wheel() -> bool:
    """Whether the NumPy that would be imported is a wheel with its own OpenBLAS beside it."""
    for folder in sys.path:
        if os.path.isfile(os.path.join(folder, "numpy", "__init__.py")):
            try:
                names = os.listdir(os.path.join(folder, "numpy.libs"))
            except OSError:
                return False
            return any(name.startswith("libscipy_openblas") for name in names)
    return False


# --- after NumPy is loaded ------------------------------------------------------------------------


def restore_environment() -> None:
    """Remove OPENBLAS_CORETYPE if `prepare` set it; OpenBLAS has read it by now."""
    if _decision.core_type is not None:
        os.environ.pop("OPENBLAS_CORETYPE", None)


def warn_if_late() -> None:
    """A PerformanceWarning where NumPy was loaded first and computes with lesser kernels for it.

    To be called by the module that is imported: the warning is for the line that imports that.
    """
    if _decision.reason != LATE or _decide(is_loaded=False).core_type not in AVX512_KERNELS:
        return
    architecture, processor = _info().get("architecture", "unknown"), _processor()
    if _are_lesser(architecture, processor):
        said = _explained(_decision, architecture, processor)
        warnings.warn(said, PerformanceWarning, stacklevel=3)


@functools.cache
def _library():
    """threadpoolctl's controller of the BLAS behind NumPy, or None where it knows none.

    SciPy may have loaded a BLAS of its own.
    """
    try:
        import threadpoolctl
    except ImportError:  # `import tinybar` is to work with NumPy alone
        return None
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return next((lib for lib in found if "numpy" in lib.filepath), found[0] if found else None)


def _info() -> dict[str, Any]:
    """What threadpoolctl knows about that library now; {} where it knows none."""
    return {} if _library() is None else _library().info()


# --- its threads ----------------------------------------------------------------------------------

_threads: int | None = None  # of BLAS outside `one_thread`; None: not asked for yet
_lock = threading.Lock()
_alone = 0  # how many callers are inside `one_thread`


def set_threads(n: int) -> None:
    """Let BLAS use n >= 1 threads from now on. `threads.use_threads` sets all there are."""
    global _threads
    import threadpoolctl

    _threads = n
    threadpoolctl.threadpool_limits(n, user_api="blas")


def threads() -> int:
    """How many threads BLAS uses outside `one_thread`, by its own choice at most `processors`.

    1 where nobody can tell.
    """
    global _threads
    if _threads is None:
        _threads = 1 if _library() is None else min(_library().num_threads, processors())
    return _threads


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """BLAS without threads of its own inside this context, which many may enter at once."""
    global _alone
    library = _library()
    if library is None:
        yield
        return
    with _lock:
        _alone += 1
        if _alone == 1:
            threads()  # how many to go back to
            library.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _alone -= 1
            if _alone == 0:
                library.set_num_threads(threads())


# --- what is in effect ----------------------------------------------------------------------------


def processor_name() -> str:
    """The processor's model name, as far as the system says."""
    return _processor().get("model name") or platform.processor() or platform.machine()


def status() -> dict[str, str | int]:
    """Processor and BLAS library in effect: plain data, a line each."""
    info = _info()
    architecture = info.get("architecture", "unknown")
    return {
        "processor": processor_name(),
        "blas": info.get("internal_api", "unknown"),
        "blas_version": info.get("version") or "unknown",
        "blas_architecture": architecture,
        "blas_threads": info.get("num_threads", 1),
        "blas_decision": _explained(_decision, architecture, _processor()),
    }


def _are_lesser(architecture: str, processor: dict[str, Any]) -> bool:
    """Whether these kernels leave the processor's AVX-512 unused."""
    return _has_avx512(processor) and architecture not in (*AVX512_KERNELS, "unknown")


def _explained(decision: Decision, architecture: str, processor: dict[str, Any]) -> str:
    """The decision, and its cost where lesser kernels were loaded than the processor runs."""
    if architecture in AVX512_KERNELS:
        return f"{decision.reason}; the AVX-512 kernels are loaded"
    if decision.by_user or not _are_lesser(architecture, processor):
        return decision.reason
    remedy = "import tinybar first, or " if decision.reason == LATE else ""
    return (
        f"{decision.reason}: the {architecture} kernels are loaded and matrix products may take up "
        f"to twice as long as with AVX-512; {remedy}set OPENBLAS_CORETYPE=SkylakeX yourself"
    )
