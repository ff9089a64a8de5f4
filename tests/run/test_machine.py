"""What is found out about the machine: memory limits, devices, number formats, disk space."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limpid.durable.files import bytes_text
from limpid.plan.device import (
    Machine,
    choose_device,
    choose_dtype,
    choose_machine,
    computing,
    cpu_has_fast_bf16,
    is_out_of_memory,
)
from limpid.plan.memory import cgroup_free_bytes, cpu_budget, free_bytes
from limpid.run.estimate import Estimate, check_space
from limpid.types import ResourceError, SettingsError

GIB = 1 << 30
CPU = torch.device("cpu")


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# -------------------------------------------------------------------------------------------------- memory


def test_version_2_groups_are_read_up_to_the_root(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/job\n",
            "sys/fs/cgroup/user/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/user/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/user/memory.stat": f"anon 5\ninactive_file {GIB}\n",
            "sys/fs/cgroup/user/job/memory.max": "max\n",
            "sys/fs/cgroup/user/job/memory.current": "12\n",
        },
    )
    assert cgroup_free_bytes(root) == 2 * GIB
    assert free_bytes(root) <= 2 * GIB
    assert cpu_budget(root) <= GIB


def test_version_1_groups_in_a_container_whose_path_is_that_outside(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB // 4}\n",
        },
    )
    assert cgroup_free_bytes(root) == 3 * GIB // 4


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "nonsense\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1\n"},
        {
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
        },
    ],
)
def test_no_limit_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    assert cgroup_free_bytes(tree(tmp_path, files)) is None


# -------------------------------------------------------------------------------------------------- device


def test_asked_devices_that_are_missing_are_refused() -> None:
    assert choose_device("cpu") == CPU
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="cuda"):
            choose_device("cuda")
    if not torch.backends.mps.is_available():
        with pytest.raises(SettingsError, match="mps"):
            choose_device("mps")


def test_bfloat16_is_chosen_only_where_the_processor_has_it(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("processor : 0\nflags : fpu avx2 avx512f\n")
    (tmp_path / "new").write_text("processor : 0\nflags : fpu avx2 amx_bf16 avx512_bf16\n")
    (tmp_path / "arm").write_text("processor : 0\nFeatures : fp asimd bf16\n")
    assert not cpu_has_fast_bf16(tmp_path / "old")
    assert cpu_has_fast_bf16(tmp_path / "new") == torch.backends.mkldnn.is_available()
    assert cpu_has_fast_bf16(tmp_path / "arm") == torch.backends.mkldnn.is_available()
    assert not cpu_has_fast_bf16(tmp_path / "missing")
    assert choose_dtype("bfloat16", CPU) == "bfloat16"
    assert choose_dtype("auto", CPU) in ("float32", "bfloat16")
    with pytest.raises(SettingsError, match="float16 is for GPUs"):
        choose_dtype("float16", CPU)


def test_threads_are_set_for_the_time_of_the_work() -> None:
    before = torch.get_num_threads()
    machine = choose_machine("cpu", "float32", threads=before + 1)
    with computing(machine):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    assert machine.model
    assert Machine(**machine.to_dict()) == machine
    assert machine.budget().device > 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("sizes must match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


# ---------------------------------------------------------------------------------------------------- disk


def test_disk_space_of_one_disk_is_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 100 << 20

    monkeypatch.setattr("limpid.run.estimate.shutil.disk_usage", lambda path: Usage)
    estimate = Estimate(seconds=1.0, frames_per_s=1.0, segment_bytes=60 << 20, output_bytes=45 << 20, calibrated=True)
    places = {"work": tmp_path / "a" / "b", "output": tmp_path / "out.mp4", "num_side_streams": 0, "duration_s": 9.0}
    with pytest.raises(ResourceError, match=r"105\.0 MiB are needed"):
        check_space(estimate, left=1.0, **places)
    assert "tight" in (check_space(estimate, left=0.8, **places) or "")
    assert check_space(estimate, left=0.1, **places) is None


def test_bytes_in_words() -> None:
    assert [bytes_text(n) for n in (5, 2048, 3 << 20, 1.5 * GIB)] == ["5 bytes", "2.0 KiB", "3.0 MiB", "1.5 GiB"]
