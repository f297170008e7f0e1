"""Peaks of memory, of real processes that allocate."""

import mmap
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.processes import in_a_fresh_process

from tinybar.runtime import arrays, memory

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak cannot begin anew")
def test_a_peak_is_what_was_allocated_and_begins_anew():
    code = """
import json
import numpy as np
from tinybar.runtime import memory
found = [memory.resident(), memory.peak()]
array = np.ones(256 * 2**20, np.uint8)
found.append(memory.resident())
del array
np.ones(300 * 2**20, np.uint8)  # by now it may be kept for the next
found.append(memory.peak())
memory.restart_peak()
print(json.dumps([*found, memory.resident(), memory.peak()]))
"""
    found = in_a_fresh_process(code, TINYBAR_MALLOC="default")  # freed memory is given back
    resident, peak, with_array, highest, at_last, restarted = found
    assert 0 < resident <= peak
    assert with_array - resident == pytest.approx(256 * MIB, rel=0.1)
    assert highest - peak == pytest.approx(300 * MIB, rel=0.1)
    assert at_last <= restarted < highest - 200 * MIB


def test_without_proc_the_system_s_own_count_is_used(monkeypatch, tmp_path):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert memory.resident() is None
    assert memory.of_machine() == {"total": None, "available": None}
    memory.restart_peak()  # which it cannot
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory.peak() in (most, 1024 * most)
    assert memory.peak() > 10 * MIB  # in bytes: NumPy alone takes more


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_machine_has_what_its_processes_have():
    found = memory.of_machine()
    assert memory.resident() < found["total"]
    assert 0 < found["available"] <= found["total"]


sizes = st.none() | st.integers(1, 2**50)


@given(before=sizes, device=sizes)
def test_a_run_keeps_the_higher_of_its_peaks(before, device):
    """That of the process which was interrupted, or that of this one."""
    least = max(before or 0, memory.peak())
    peaks = memory.peaks({"peak_bytes": before, "peak_device_bytes": device, "seconds": 1.0})
    assert peaks.keys() == {"peak_bytes", "peak_device_bytes"}
    assert least <= peaks["peak_bytes"] <= max(before or 0, memory.peak())
    assert peaks["peak_device_bytes"] == device  # none is in use here
    assert memory.peaks({})["peak_device_bytes"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_is_in_use_on_a_cpu_is_the_process():
    before = memory.in_use()
    pages = mmap.mmap(-1, 64 * MIB)  # no memory that was kept from before
    pages.write(bytes(64 * MIB))
    assert memory.in_use() - before > 32 * MIB


@pytest.mark.gpu
def test_what_is_in_use_on_a_gpu_is_its_memory():
    arrays.use_device("gpu")
    array = arrays.to_device(np.ones(64 * MIB, np.uint8))
    assert memory.in_use() >= array.nbytes


@pytest.mark.gpu
def test_the_peak_on_a_gpu():
    arrays.use_device("gpu")
    before = memory.device_peak()
    arrays.to_device(np.ones(64 * MIB, np.uint8))
    assert memory.device_peak() >= 64 * MIB
    assert memory.device_peak() >= before


# --- the allocator --------------------------------------------------------------------------------


def test_the_allocator_can_be_left_alone():
    code = (
        "import json, tinybar.runtime.memory as m; m.keep_freed_memory(); "
        "print(json.dumps(m.allocator()))"
    )
    assert "TINYBAR_MALLOC" in in_a_fresh_process(code, TINYBAR_MALLOC="default")
    said = in_a_fresh_process(code, MALLOC_TRIM_THRESHOLD_="131072")
    assert "MALLOC_TRIM_THRESHOLD_ is set" in said


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize("modules", ["tinybar, numpy", "numpy, tinybar"])
def test_freed_arrays_are_kept_if_asked(modules):
    """With the setting, a large array a second time costs (nearly) no page faults."""
    code = f"import {modules}\n"
    code += """
import json, os, resource, numpy as np
if "LEFT_ALONE" not in os.environ:
    tinybar.keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(3_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(json.dumps([tinybar.runtime.memory.allocator(), faults()]))
"""
    said, again = in_a_fresh_process(code)
    if "left alone" in said:
        pytest.skip(said)
    assert again < 100  # 3 MB are 732 pages
    said, again = in_a_fresh_process(code, LEFT_ALONE="1")  # a library changes nothing by itself
    assert "left alone" in said
    assert again > 500
