"""How many processors may be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bioscan5m_hf import processors as module
from bioscan5m_hf.processors import processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(module, "_OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "_GROUPS", tmp_path / "groups")


def in_group(root: Path, told: str, **files: str) -> None:
    (root / "cgroup").write_text(told)
    for name, text in files.items():
        file = root / "groups" / name.replace("__", "/").replace("_", ".", 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_those_that_the_system_lets_it_run_on() -> None:
    assert processors() == 8


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


@pytest.mark.parametrize(
    ("given", "count"), [("3", 3), ("16", 8), ("0", 1), ("", 8), ("two", 8), ("-1", 8)]
)
def test_what_slurm_gave_the_task(given: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert processors() == count


@pytest.mark.parametrize(
    ("quota", "count"),
    [("400000 100000", 4), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), ("", 8)],
)
def test_the_quota_of_a_control_group(quota: str, count: int, tmp_path: Path) -> None:
    in_group(tmp_path, "0::/user/job\n", user__job__cpu_max=quota)
    assert processors() == count


def test_a_group_above_limits_those_within(tmp_path: Path) -> None:
    in_group(tmp_path, "0::/user/job\n", user__cpu_max="200000 100000", user__job__cpu_max="max 1")
    assert processors() == 2


def test_a_container_names_its_group_as_the_host_does(tmp_path: Path) -> None:
    in_group(tmp_path, "0::/docker/0a1b\n", cpu_max="300000 100000")
    assert processors() == 3


@pytest.mark.parametrize(("quota", "count"), [("250000", 3), ("-1", 8)])
def test_groups_of_the_first_version(quota: str, count: int, tmp_path: Path) -> None:
    in_group(tmp_path, "4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n")
    group = tmp_path / "groups" / "cpu" / "job"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert processors() == count
