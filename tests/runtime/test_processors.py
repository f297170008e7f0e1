"""Processors that are shared: made-up control groups, and this machine's."""

import math
import os

import pytest

from tinybar.runtime import blas, processors, threads


def root(tmp_path, lines, **files):
    """A file system with these lines of /proc/self/cgroup, and these files in /sys/fs/cgroup."""
    files = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    for name, content in (files | {"proc/self/cgroup": lines}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


V1 = "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/docker/1\n"


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "400000 100000\n"}, 2),
        ("0::/../../outside\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "damaged"}, math.inf),
        (V1, {"cpu/docker/1/cpu.cfs_quota_us": "200000", "cpu/docker/1/cpu.cfs_period_us": "1000"},
         200),
        (V1, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 1),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "50000\n"}, math.inf),
        (V1, {"memory/cpu.max": "100000 100000"}, math.inf),
        ("", {"cpu.max": "100000 100000"}, math.inf),
    ],
)  # fmt: skip
def test_the_quota_of_a_container(lines, files, expected, tmp_path):
    assert processors.quota(root(tmp_path, lines, **files)) == expected


def test_where_there_are_no_control_groups(tmp_path):
    assert processors.quota(tmp_path) == math.inf


@pytest.mark.parametrize(
    ("quota", "expected"), [(0.5, 1), (1, 1), (1.5, 2), (3, 3), (9, 4), (math.inf, 4)]
)
def test_a_quota_is_rounded_up(quota, expected, monkeypatch):
    monkeypatch.setattr(processors, "_granted", lambda: 4)
    monkeypatch.setattr(processors, "quota", lambda: quota)
    assert processors.processors() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_process_that_is_held_to_one_processor():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert processors.processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= processors.processors() <= len(before)


def test_no_more_threads_than_processors_by_default(monkeypatch):
    monkeypatch.setattr(blas, "_threads", None)
    monkeypatch.setattr(blas, "processors", lambda: 1)
    assert threads.count() == 1
