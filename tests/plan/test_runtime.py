"""Which runtime is chosen: what is asked for, what the table says, what cannot be, and what is said without ncnn."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from ncnn_here import needs_ncnn, needs_vulkan

from limpid.method import ENGINE_OPTIONS
from limpid.methods import find_method
from limpid.plan import runtime as module
from limpid.plan.device import Machine, choose_device, choose_machine, versions
from limpid.plan.runtime import RUNTIME_TABLE, choose_runtime, measured_runtime, ncnn_dtype
from limpid.run.prepare import check_options
from limpid.runtimes.package import vulkan_devices
from limpid.settings import Settings
from limpid.types import SettingsError

BOTH = ("torch", "ncnn")
AVX2, NEWEST, UNKNOWN = ("avx", "avx2"), ("avx2", "avx512f", "avx512_bf16"), ()


def chosen(asked: str = "auto", offered: tuple[str, ...] = BOTH, device: str = "cpu", **given: Any) -> str:
    return choose_runtime(asked, offered, device=device, **{"dtype": "auto", "flags": AVX2, **given})


def test_the_table_knows_every_processor() -> None:
    assert measured_runtime(NEWEST).runtime == "torch"
    assert measured_runtime(AVX2).runtime == "ncnn"
    assert measured_runtime(UNKNOWN) is RUNTIME_TABLE[-1]


@needs_ncnn
def test_auto_takes_what_was_measured_unless_something_speaks_for_pytorch() -> None:
    assert chosen() == "ncnn"
    assert chosen(flags=NEWEST) == "torch"
    assert chosen(dtype="float32") == "torch"
    assert chosen(device="cuda") == "torch"
    assert chosen(offered=("torch",)) == "torch"
    assert chosen(offered=("ncnn",), flags=NEWEST) == "ncnn"
    assert chosen(device="vulkan", flags=NEWEST) == "ncnn"
    assert chosen("ncnn", flags=NEWEST) == "ncnn"
    assert chosen("torch") == "torch"


@pytest.mark.parametrize(
    ("asked", "offered", "device", "says"),
    [
        ("ncnn", ("torch",), "cpu", "runtime ncnn has no effect with this network, which runs in torch only"),
        ("torch", ("ncnn",), "cpu", "which runs in ncnn only"),
        ("torch", BOTH, "vulkan", "where only ncnn computes"),
        ("auto", ("torch",), "vulkan", "where only ncnn computes"),
        ("ncnn", BOTH, "cuda", "where ncnn does not compute"),
        ("auto", ("ncnn",), "mps", "where ncnn does not compute"),
    ],
)
def test_what_cannot_be_is_refused(asked: str, offered: tuple[str, ...], device: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        chosen(asked, offered, device)


def test_without_the_package_auto_is_pytorch_and_ncnn_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_ncnn", lambda: False)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    assert chosen() == "torch"
    with pytest.raises(SettingsError, match=r"runtime ncnn needs the package ncnn.*or limpid-video\[ncnn"):
        chosen("ncnn")
    with pytest.raises(SettingsError, match="a network in the files of ncnn needs the package"):
        chosen(offered=("ncnn",))
    vulkan_devices.cache_clear()
    with pytest.raises(SettingsError, match="a Vulkan device needs the package ncnn"):
        choose_machine("vulkan:3", runtimes=BOTH)


def test_number_formats_of_ncnn() -> None:
    assert ncnn_dtype("auto", "cpu") == ncnn_dtype("float32", "vulkan") == "float32"
    assert ncnn_dtype("float16", "vulkan") == "float16"
    with pytest.raises(SettingsError, match="dtype bfloat16 does not go with ncnn on cpu; it can be float32"):
        ncnn_dtype("bfloat16", "cpu")


@needs_ncnn
def test_a_machine_knows_its_runtime_which_is_a_fact_of_the_result() -> None:
    machine = choose_machine("auto", runtime="ncnn", runtimes=BOTH, threads=2)
    assert (machine.device, machine.dtype, machine.runtime) == ("cpu", "float32", "ncnn")
    assert Machine(**machine.to_dict()) == machine
    placement = machine.placement()
    assert (placement.runtime, placement.threads, placement.vulkan) == ("ncnn", 2, None)
    assert "ncnn" in versions("ncnn") and "ncnn" not in versions()


@needs_vulkan
def test_a_vulkan_device_computes_in_ncnn_and_pytorch_stays_on_the_processor() -> None:
    machine = choose_machine("vulkan", runtimes=BOTH)
    assert (machine.device, machine.runtime, machine.torch_device.type) == ("vulkan:0", "ncnn", "cpu")
    assert machine.placement().vulkan == 0 and machine.model
    with pytest.raises(SettingsError, match="the last one is vulkan:"):
        choose_machine("vulkan:99", runtimes=BOTH)


def test_methods_that_run_in_pytorch_only_refuse_the_option() -> None:
    settings = Settings(runtime="ncnn")
    check_options(find_method("tiny"), settings)
    with pytest.raises(SettingsError, match="runtime has no effect with the method torch-only"):
        check_options(replace(find_method("tiny"), name="torch-only", options=ENGINE_OPTIONS), settings)
    with pytest.raises(SettingsError, match="device is 'vulkan:0', where only ncnn computes; PyTorch needs"):
        choose_device("vulkan:0")
