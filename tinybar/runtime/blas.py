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
tells if better ones exist. The function that OpenBLAS chooses them with (`gotoblas_dynamic_init`)
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

AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"})
AVX512_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")  # as OpenBLAS calls them
LATE = "NumPy was already loaded when tinybar was imported"

_blas_decision = "tinybar decided nothing yet"
_set_by_us = False
_many: int | None = None  # threads that BLAS has outside `one_thread`; not asked for yet


class PerformanceWarning(UserWarning):
    """What is computed is right, but takes longer than it need."""


# --- before NumPy is loaded -------------------------------------------------------------------


def prepare() -> None:
    """Choose the kernels of OpenBLAS. To be called before NumPy is imported; cheap."""
    global _blas_decision, _set_by_us
    core_type, _blas_decision = choose_core_type(
        os.environ, "numpy" in sys.modules, _system(), _processor(), _wheel()
    )
    if core_type is not None:
        os.environ["OPENBLAS_CORETYPE"] = core_type
        _set_by_us = True


def choose_core_type(environ, loaded: bool, system: str, processor: dict, wheel: bool):
    """(value for OPENBLAS_CORETYPE or None, the reason as a sentence).

    environ: the environment; loaded: whether NumPy is; system: "linux x86_64" is the one we know;
    processor: the fields of /proc/cpuinfo; wheel: whether NumPy brings its own OpenBLAS.
    """
    wish = environ.get("TINYBAR_OPENBLAS", "")
    if wish == "default":
        return None, "OpenBLAS left alone: TINYBAR_OPENBLAS=default"
    if "OPENBLAS_CORETYPE" in environ:
        return None, f"OpenBLAS left alone: OPENBLAS_CORETYPE={environ['OPENBLAS_CORETYPE']} is set"
    if loaded:
        return None, LATE
    if wish:
        return wish, f"OpenBLAS told to use {wish}: TINYBAR_OPENBLAS={wish}"
    if system != "linux x86_64":
        return None, f"OpenBLAS left alone: nothing is known to be better on {system}"
    if not set(processor.get("flags", "").split()) >= AVX512:
        return None, "OpenBLAS left alone: the processor has no AVX-512"
    if not wheel:
        # Another build may have kernels beyond SkylakeX, for which this would be a step back.
        return None, "OpenBLAS left alone: NumPy does not come with its own copy of it"
    return "SkylakeX", "OpenBLAS told to use SkylakeX: the processor has AVX-512"


def _system() -> str:
    return f"{sys.platform} {_machine()}"


def _machine() -> str:
    return os.uname().machine if hasattr(os, "uname") else platform.machine()


def _processor() -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo; empty where there is no such file."""
    fields = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:
                    break  # a blank line: the next processor
                fields[name.strip()] = value.strip()
    except OSError:
        pass
    return fields


def _wheel() -> bool:
    """Whether the NumPy that would be imported is a wheel with its own OpenBLAS beside it."""
    for folder in sys.path:
        if os.path.isfile(os.path.join(folder, "numpy", "__init__.py")):
            try:
                names = os.listdir(os.path.join(folder, "numpy.libs"))
            except OSError:
                return False
            return any(name.startswith("libscipy_openblas") for name in names)
    return False


# --- after NumPy is loaded --------------------------------------------------------------------


def restore_environment() -> None:
    """Remove OPENBLAS_CORETYPE, which OpenBLAS has read by now."""
    global _set_by_us
    if _set_by_us:
        os.environ.pop("OPENBLAS_CORETYPE", None)
        _set_by_us = False


def warn_if_late() -> None:
    """A PerformanceWarning where NumPy was loaded first and computes with lesser kernels for it.

    To be called by the module that is imported: the warning is for the line that imports that.
    """
    if _blas_decision != LATE:
        return
    processor = _processor()
    wanted, _ = choose_core_type(os.environ, False, _system(), processor, _wheel())
    architecture = _numpys_blas().get("architecture", "unknown") if wanted else "unknown"
    if wanted in AVX512_KERNELS and _are_lesser(architecture, processor):
        said = _explained(LATE, architecture, processor)
        warnings.warn(said, PerformanceWarning, stacklevel=3)


# --- its threads --------------------------------------------------------------------------------


def set_threads(n: int) -> None:
    """Let BLAS use n threads from now on. Raises ValueError unless n is an integer >= 1."""
    global _many
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"the number of threads is an integer >= 1, got {n!r}")
    import threadpoolctl

    _many = n

    threadpoolctl.threadpool_limits(n, user_api="blas")


def threads() -> int:
    """How many threads BLAS uses, outside `one_thread`; 1 where nobody can tell."""
    global _many
    if _many is None:
        library = _controller()
        _many = library.num_threads if library is not None else 1
    return _many


_lock = threading.Lock()
_alone = 0  # how many are inside `one_thread`


@contextlib.contextmanager
def one_thread():
    """BLAS without threads of its own inside this context, which many may enter at once."""
    global _alone
    library = _controller()
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


@functools.cache
def _controller():
    """threadpoolctl's handle of the BLAS behind NumPy, or None where there is none."""
    try:
        import threadpoolctl
    except ImportError:
        return None
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return next((lib for lib in found if "numpy" in lib.filepath), found[0] if found else None)


# --- what is in effect ---------------------------------------------------------------------------


def processor_name() -> str:
    """What the maker calls the processor, as far as the system says."""
    return _processor().get("model name") or platform.processor() or _machine()


def status() -> dict[str, str | int]:
    """Processor and BLAS library in effect: plain data, a line each."""
    library = _numpys_blas()
    architecture = library.get("architecture", "unknown")
    return {
        "processor": processor_name(),
        "blas": library.get("internal_api", "unknown"),
        "blas_version": library.get("version") or "unknown",
        "blas_architecture": architecture,
        "blas_threads": library.get("num_threads", 1),
        "blas_decision": _explained(_blas_decision, architecture, _processor()),
    }


def _numpys_blas() -> dict:
    """What threadpoolctl knows of the BLAS behind NumPy (SciPy may have loaded one of its own)."""
    try:
        import threadpoolctl
    except ImportError:  # `import tinybar` is to work with NumPy alone
        return {}
    found = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    return next((lib for lib in found if "numpy" in lib["filepath"]), found[0] if found else {})


def _are_lesser(architecture: str, processor: dict) -> bool:
    """Whether these kernels leave the processor's AVX-512 unused."""
    has_avx512 = set(processor.get("flags", "").split()) >= AVX512
    return has_avx512 and architecture not in (*AVX512_KERNELS, "unknown")


def _explained(decision: str, architecture: str, processor: dict) -> str:
    """The decision, and what it costs where lesser kernels were loaded than the processor runs."""
    if architecture in AVX512_KERNELS:
        return f"{decision}; the AVX-512 kernels are loaded"
    if _are_lesser(architecture, processor) and "=" not in decision:  # "=": the user's wish
        return (
            f"{decision}: the {architecture} kernels are loaded and matrix products may take up to "
            f"twice as long as with AVX-512; {'import tinybar first, or ' * (decision == LATE)}"
            "set OPENBLAS_CORETYPE=SkylakeX yourself"
        )
    return decision
