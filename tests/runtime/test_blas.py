"""The settings made before NumPy is loaded: what is chosen for whom, and that it takes effect."""

import numpy as np
import pytest
from runtime.processes import in_a_fresh_process

from tinybar.runtime import blas

AVX512 = {"flags": "fpu sse2 avx2 avx512f avx512dq avx512cd avx512bw avx512vl"}
LINUX = "linux x86_64"


def test_avx512_processors_get_the_avx512_kernels():
    decision = blas.choose_core_type({}, False, LINUX, AVX512, True)
    assert decision.core_type == "SkylakeX"
    assert "AVX-512" in decision.reason
    assert not decision.by_user


@pytest.mark.parametrize("missing", sorted(blas.AVX512))
def test_every_one_of_the_avx512_features_is_needed(missing):
    flags = " ".join(flag for flag in AVX512["flags"].split() if flag != missing)
    decision = blas.choose_core_type({}, False, LINUX, {"flags": flags}, True)
    assert decision == (None, "OpenBLAS left alone: the processor has no AVX-512", False)


@pytest.mark.parametrize(
    ("environ", "loaded", "system", "wheel", "reason"),
    [
        ({"TINYBAR_OPENBLAS": "default"}, False, LINUX, True, "TINYBAR_OPENBLAS=default"),
        ({"OPENBLAS_CORETYPE": "Zen"}, False, LINUX, True, "OPENBLAS_CORETYPE=Zen is set"),
        ({}, True, LINUX, True, "already loaded"),
        ({}, False, "darwin arm64", True, "darwin arm64"),
        ({}, False, "linux aarch64", True, "linux aarch64"),
        ({}, False, LINUX, False, "own copy"),
    ],
)
def test_otherwise_openblas_is_left_alone(environ, loaded, system, wheel, reason):
    decision = blas.choose_core_type(environ, loaded, system, AVX512, wheel)
    assert decision.core_type is None
    assert reason in decision.reason
    assert decision.by_user == bool(environ)


def test_an_unreadable_processor_is_left_alone():
    assert blas.choose_core_type({}, False, LINUX, {}, True)[0] is None


def test_a_wish_is_passed_on_whatever_the_processor():
    environ = {"TINYBAR_OPENBLAS": "Haswell"}
    decision = blas.choose_core_type(environ, False, LINUX, {}, False)
    assert (decision.core_type, decision.by_user) == ("Haswell", True)


STATUS = "import json; from tinybar.runtime import blas; print(json.dumps(blas.status()))"


def test_status_of_the_loaded_library():
    status = in_a_fresh_process(STATUS)
    assert set(status) == {
        "processor",
        "blas",
        "blas_version",
        "blas_architecture",
        "blas_threads",
        "blas_decision",
    }
    assert status["processor"] == blas.processor_name() != ""
    assert status["blas_threads"] >= 1
    if "set to SkylakeX" in status["blas_decision"]:
        assert status["blas_architecture"] == "SkylakeX"


def test_a_wish_reaches_openblas_and_leaves_no_trace():
    code = (
        "import json, os, tinybar; from tinybar.runtime import blas; "
        "print(json.dumps(blas.status() | {'left': os.environ.get('OPENBLAS_CORETYPE')}))"
    )
    status = in_a_fresh_process(code, TINYBAR_OPENBLAS="Nehalem")
    assert status["left"] is None
    assert "TINYBAR_OPENBLAS=Nehalem" in status["blas_decision"]
    if status["blas"] == "openblas":
        assert status["blas_architecture"] in ("Nehalem", "unknown")


def test_openblas_own_variable_is_respected_and_kept():
    code = "import json, os, tinybar; print(json.dumps(os.environ['OPENBLAS_CORETYPE']))"
    assert in_a_fresh_process(code, OPENBLAS_CORETYPE="Nehalem") == "Nehalem"


def test_numpy_before_tinybar_is_noticed():
    status = in_a_fresh_process(f"import numpy; {STATUS}")
    assert "NumPy was already loaded" in status["blas_decision"]


def imported_late(before="import numpy", **environ: str) -> list[list]:
    """[text, line, class] of the warnings in a process that imports NumPy and then tinybar."""
    code = f"""
import json, os, warnings
{before}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import tinybar  # this is line 6
print(json.dumps([[str(w.message), w.lineno, w.category.__name__] for w in caught]))
"""
    return in_a_fresh_process(code, **environ)


def test_numpy_first_is_warned_of_where_it_costs_something():
    """A processor that OpenBLAS does not know is as one whose kernels were chosen in its place."""
    forgotten = "import numpy; del os.environ['OPENBLAS_CORETYPE']"
    code = f"import os; {forgotten}; {STATUS}"
    status = in_a_fresh_process(code, OPENBLAS_CORETYPE="Haswell")
    caught = imported_late(forgotten, OPENBLAS_CORETYPE="Haswell")
    if not blas._is_wheel() or "the Haswell kernels are loaded" not in status["blas_decision"]:
        assert caught == []
        pytest.skip("no AVX-512 that NumPy's own OpenBLAS could leave unused")
    assert caught == [[status["blas_decision"], 6, "PerformanceWarning"]]
    ((said, *_),) = caught
    assert said.startswith(blas.LATE)
    assert "may take up to twice as long" in said
    assert "import tinybar first, or set OPENBLAS_CORETYPE=SkylakeX" in said
    assert "\n" not in said


def test_numpy_first_is_not_warned_of_where_it_costs_nothing():
    for wish in ({"OPENBLAS_CORETYPE": "Haswell"}, {"TINYBAR_OPENBLAS": "default"}):
        assert imported_late(**wish) == []
    assert imported_late("", TINYBAR_OPENBLAS="Haswell") == []  # nothing was imported before
    status = in_a_fresh_process(f"import numpy; {STATUS}")
    if "may take up to twice as long" not in status["blas_decision"]:
        assert imported_late() == []


def test_numpy_first_works_without_threadpoolctl():
    blocked = "import sys; sys.modules['threadpoolctl'] = None; import numpy"
    assert imported_late(blocked) == []


def test_lesser_kernels_on_an_avx512_processor_are_explained():
    left_alone = blas.Decision(None, "OpenBLAS left alone")
    late = blas.Decision(None, "NumPy was already loaded")
    said = blas._explained(left_alone, "Haswell", AVX512)
    assert "set OPENBLAS_CORETYPE=SkylakeX yourself" in said
    assert "import tinybar first" not in said  # which would not help
    for decision, architecture, processor in (
        (late, "SkylakeX", AVX512),
        (late, "Haswell", {}),
        (left_alone._replace(by_user=True), "Haswell", AVX512),
    ):
        assert "yourself" not in blas._explained(decision, architecture, processor)


def test_set_threads():
    import threadpoolctl

    def threads():
        found = threadpoolctl.threadpool_info()  # other libraries may have loaded OpenMP
        return {lib["num_threads"] for lib in found if lib["user_api"] == "blas"}

    before = blas.status()["blas_threads"]
    try:
        blas.set_threads(1)
        np.ones((4, 4)) @ np.ones((4, 4))
        assert blas.status()["blas_threads"] == 1
        blas.set_threads(2)
        assert blas.status()["blas_threads"] == 2
        assert threads() == {2}
    finally:
        blas.set_threads(before)
