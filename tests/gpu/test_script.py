"""benchmarks/gpu.py runs on the CPU, so that no slip is left for the day when there is a GPU."""

import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import gpu_page
import gpu_parts
import pytest
import slices
from click.testing import CliRunner

from gpu import emulation

BENCHMARKS = Path(gpu_page.__file__).parent
spec = importlib.util.spec_from_file_location("gpu_script", BENCHMARKS / "gpu.py")
script = importlib.util.module_from_spec(spec)  # `gpu` is the folder of tests of that name
sys.modules["gpu_script"] = script
spec.loader.exec_module(script)
HAS_TORCH = importlib.util.find_spec("torch") is not None


def quick(out, only: str) -> tuple[int, dict, str]:
    """Exit code, parts and page of a quick run on the CPU."""
    command = [sys.executable, BENCHMARKS / "gpu.py", "--device", "cpu", "--quick", "--out", out]
    done = subprocess.run([*command, "--only", only], capture_output=True, text=True, check=False)
    (file,) = out.glob("gpu-*.json")
    parts = json.loads(file.read_text("utf-8"))["parts"]
    return done.returncode, parts, file.with_suffix(".md").read_text("utf-8")


def test_steps_of_tinybar_and_the_tests(tmp_path):
    code, parts, page = quick(tmp_path, "tinybar|tests|ceilings")
    assert code == 0, page
    assert set(parts) == {"system", "ceilings", "step: wrn-10-1, gated, tinybar", "tests"}
    assert min(parts["ceilings"]["result"].values()) > 0
    found = parts["step: wrn-10-1, gated, tinybar"]["result"]
    assert found["steps"] >= gpu_parts.LEAST_BLOCKS
    assert 0 < found["lower_ms"] <= found["median_ms"] <= found["upper_ms"]
    assert parts["tests"]["result"]["passed"] >= 5
    assert parts["tests"]["result"]["failed"] == []
    assert "| wrn-10-1, gated | 4 | tinybar |" in page


@pytest.mark.skipif(emulation.COMPILER is None, reason="needs a C++ compiler: g++ or clang++")
def test_launches_on_the_stand_in(tmp_path):
    code, parts, page = quick(tmp_path, "stand-in")
    assert code == 0, page
    found = parts["stand-in: wrn-10-1"]["result"]
    assert found["launches"] > found["reads"] > 0
    assert "| wrn-10-1 | 4 | stand-in |" in page


@pytest.mark.oracle
@pytest.mark.skipif(not HAS_TORCH, reason="needs PyTorch")
def test_the_peers_and_the_trace(tmp_path):
    code, parts, page = quick(tmp_path, "torch|^launches")
    assert code == 0, page
    assert "| wrn-10-1, gated | 4 | torch.compile |" in page
    assert parts["launches: wrn-10-1"]["result"]["launches"] == 0  # CUPTI sees no CPU


def test_every_part_is_asked_for_as_it_can_be():
    """Names are told apart, and the options of each part are its own."""
    for is_quick in (False, True):
        found = script.parts("gpu", is_quick)
        assert len({part.name for part in found}) == len(found)
        for part in found:
            if part.arguments[0] == script.PARTS:
                command = gpu_parts.main.commands[part.arguments[1]]
                command.make_context(part.name, list(part.arguments[2:]))
    assert sum(part.name.startswith("step: ") for part in script.parts("gpu", False)) == 3 * 6


# --- a part by itself ----------------------------------------------------------------------------


def python(name: str, code: str) -> script.Part:
    return script.Part(name, ("-c", code), 60)


def test_a_part_says_what_it_found_or_why_it_failed():
    found = script.run(python("good", "print('noise'); print('{\"a\": 1}')"), 60)
    assert (found["result"], found["code"]) == ({"a": 1}, 0)
    assert "said" not in found
    found = script.run(python("bad", "print('1 +'); raise ValueError('no such thing')"), 60)
    assert "result" not in found
    assert found["said"][-2:] == ["ValueError: no such thing", "ended with exit code 1"]
    found = script.run(python("dead", "import os; os.kill(os.getpid(), 11)"), 60)
    assert found["said"] == ["ended with exit code -11"]
    found = script.run(python("red", "import sys; print('[1]'); sys.exit(1)"), 60)
    assert (found["result"], found["code"]) == ([1], 1)  # as an audit with a failure


def test_a_part_is_cut_with_all_that_it_started():
    code = (
        "import subprocess as s, sys; s.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    found = script.run(python("slow", code), 1)
    assert found["said"] == ["cut after 1 s"]
    assert found["code"] < 0


def test_a_run_is_resumed_where_it_failed(tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    note = f"open({str(ran)!r}, 'a').write('x'); "
    good = note + "print('{}')"
    asked = [python("system", "print('{}')"), python("step", good), python("bad", note + "1 / 0")]
    monkeypatch.setattr(script, "parts", lambda device, is_quick: asked)
    monkeypatch.setattr(script, "page", lambda found: json.dumps(sorted(found)))
    options = ["--out", str(tmp_path), "--device", "cpu"]
    assert CliRunner().invoke(script.main, options).exit_code == 1
    assert ran.read_text() == "xx"
    asked[2] = python("bad", good)
    assert CliRunner().invoke(script.main, [*options, "--resume"]).exit_code == 0
    assert ran.read_text() == "xxx"
    assert (tmp_path / "gpu-none.md").read_text() == '["bad", "step", "system"]'
    asked.append(python("late", good))
    done = CliRunner().invoke(script.main, [*options, "--resume", "--minutes", "0"])
    assert done.exit_code == 1
    late = json.loads((tmp_path / "gpu-none.json").read_text())["parts"]["late"]
    assert late == {"said": ["not run: no time was left"]}


def test_without_a_gpu_it_says_what_is_missing(tmp_path, monkeypatch):
    facts = {"gpu": {"gpus": [], "missing": ["CuPy is not installed"]}}
    asked = [python("system", f"print({json.dumps(json.dumps(facts))})"), python("a", "1 / 0")]
    monkeypatch.setattr(script, "parts", lambda device, is_quick: asked)
    done = CliRunner().invoke(script.main, ["--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.output == "Error: no GPU computes here; CuPy is not installed\n"
    assert not (tmp_path / "out").exists()


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert gpu_page.commit() == "unknown"


def test_a_file_is_named_after_the_gpu():
    gpus = [{"name": "NVIDIA H100 80GB HBM3"}]
    assert script.name_of({"result": {"gpu": {"gpus": gpus}}}) == "nvidia-h100-80gb-hbm3"
    assert script.name_of({"said": ["cut"]}) == "none"


# --- what is read --------------------------------------------------------------------------------


def test_a_trace_is_counted():
    """The categories are those of PyTorch's traces."""
    events = [
        {"cat": "kernel", "name": "adam", "dur": 500},
        {"cat": "kernel", "name": "adam", "dur": 1500},
        {"cat": "kernel", "name": "gemm", "dur": 3000},
        {"cat": "gpu_memset", "name": "Memset (Device)", "dur": 1},
        {"cat": "gpu_memcpy", "name": "Memcpy DtoD (Device -> Device)", "dur": 1},
        {"cat": "gpu_memcpy", "name": "Memcpy HtoD (Pageable -> Device)", "dur": 1},
        {"cat": "gpu_memcpy", "name": "Memcpy DtoH (Device -> Pageable)", "dur": 1},
        {"cat": "cuda_driver", "name": "cuLaunchKernel", "dur": 1},
        {"name": "process_labels"},
    ]
    assert gpu_parts.counted(events) == {
        "launches": 5, "copies": 1, "reads": 1, "device_ms": 5.0,
        "longest": [["gemm", 1, 3.0], ["adam", 2, 2.0]],
    }  # fmt: skip


def test_a_report_of_tests_is_read():
    report = """<testsuites><testsuite><testcase classname="a" name="b"/>
    <testcase classname="a" name="c"><skipped message="s"/></testcase>
    <testcase classname="a" name="d"><failure message="assert 1&#10;more">t</failure></testcase>
    <testcase classname="e" name=""><error message="collection">t</error></testcase>
    </testsuite></testsuites>"""
    failed = [["a::d", "assert 1"], ["e::", "collection"]]
    found = {"passed": 1, "skipped": 1, "failed": failed}
    assert gpu_parts.outcomes(ET.fromstring(report)) == found
    assert "1 passed, 1 skipped, 2 failed.\n- `a::d`: assert 1\n" in gpu_page.page(
        {"tests": {"result": found}}
    )


def test_a_page_of_a_gpu():
    """All that a GPU adds to the page of a CPU."""
    card = {"name": "A card", "compute_capability": "9.0", "memory": 2**36, "free": 2**35}
    gpu = {"driver": "580.65.06", "cublas": None, "gpus": [card], "missing": ["NCCL does not load"]}
    system = {"python": "3.12", "packages": {"numpy": "2.4"}, "processors": 16, "processor": "One"}
    kernel = {"registers": 40, "local": 0, "shared": 0, "threads": 1024}
    counts = {"network": "wrn-28-12", "batch_size": 64, "launches": 550, "copies": 1, "reads": 1}
    of_gpu = {"by": "CUPTI", "device_ms": 5.0, "longest": [["gemm", 7, 3.0]], "allocations": 9}
    row = {"group": "g", "name": "n", "detail": "off by 1"}
    found = {
        "system": {"result": system | {"gpu": gpu}},
        "ceilings": {
            "result": {
                "tb_per_second": 3.0,
                "fp32_tflop_per_second": 50,
                "tf32_tflop_per_second": 390,
            }
        },
        "audit": {"result": [row | {"passed": True}, row | {"passed": False}]},
        "kernels": {"result": {"adam_update": kernel}},
        "launches: wrn-28-12": {"result": counts | of_gpu},
        "stand-in: wrn-28-12": {"result": counts | {"by": "stand-in", "allocations": 8}},
        "step: x": {"said": ["cut after 40 s", "CUDA error"]},
    }
    page = gpu_page.page(found)
    for text in (
        "- A card, compute capability 9.0, 64.0 GiB, 32.0 GiB of them free",
        "python 3.12, numpy 2.4, driver 580.65.06\n",
        "- missing: NCCL does not load\n- a copy: 3.00 TB/s, read and written; a product of "
        "matrices: 50.0 TFLOP/s in fp32, 390.0 in tf32",
        "2 checks, 1 failed.\n- g: n: off by 1",
        "| `adam_update` | 40 | 0 | 0 | 1024 |",
        "| wrn-28-12 | 64 | CUPTI | 550 | 1 | 1 | 9 |",
        "| wrn-28-12 | 64 | stand-in | 550 | 1 | 1 | 8 |",
        "wrn-28-12: 5.00 ms in kernels",
        "| `gemm` | 7 | 3.000 |",
        "- step: x:\n\n```\ncut after 40 s\nCUDA error\n```",
    ):
        assert text in page


# --- a run in slices -----------------------------------------------------------------------------

TOY = ["--model", "wrn-10-1", "--teacher-epochs", "1", "--epochs", "1", "1", "1", "--device", "cpu"]


def test_a_run_in_slices_is_completed(tmp_path, capfd):
    folder = tmp_path / "run"
    codes = [slices.main([str(folder), "--minutes", "0.06", *TOY])]
    while codes[-1] == slices.MORE and len(codes) < 3:
        options = [] if (folder / "config.toml").exists() else TOY
        codes.append(
            slices.main([str(folder), "--minutes", "0.06" if len(codes) < 2 else "9", *options])
        )
    assert codes[-1] == 0
    assert (folder / "result.json").exists()
    capfd.readouterr()
    assert slices.main([str(folder), "--minutes", "9"]) == 0  # there is nothing left to do
    assert capfd.readouterr() == ("", "")


def test_a_slice_that_fails_is_not_tried_again(tmp_path):
    assert slices.main([str(tmp_path / "run"), "--minutes", "1", "--model", "no-such"]) == 2
    assert slices.main([str(tmp_path / "run")]) == 2
