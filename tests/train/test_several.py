from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from limpid.train.loop import train
from limpid.train.world import blocks_of

from .toy import ToyNetwork, ToyObjective, log, toy_run, weights


def launch(repository: Path, out: Path, processes: int, **extra: str) -> list[str]:
    """What ``accelerate launch`` does: the same command with these variables; stderr of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("one_of_several.py")), str(out)]
    common = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(repository / "src"),
    }
    running = []
    for rank in range(processes):
        env = {**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), **extra}
        running.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, "\n".join(said)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, sharded: bool
) -> None:
    monkeypatch.setattr(ToyNetwork, "dropout", 0.0)
    train(toy_run(tmp_path / "one", objective=ToyObjective(critic=True)))
    launch(repository, tmp_path / "two", 2, **({"ACCELERATE_USE_FSDP": "true"} if sharded else {}))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one.keys() - {"seen"}:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
    states = [load_file(tmp_path / name / "state/00-00000012/tensors.safetensors") for name in ("one", "two")]
    assert states[0].keys() == states[1].keys()
    for name in states[0].keys() - {"buffers/model/seen"}:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-3, atol=1e-5, msg=name)
    for a, b in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert a["terms"] == pytest.approx(b["terms"], rel=1e-3, abs=1e-5)


def test_blocks_that_are_gathered_one_at_a_time() -> None:
    inner = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Identity()])
    outer = torch.nn.ModuleList([torch.nn.Sequential(inner[0]), torch.nn.Conv2d(1, 1, 1)])
    found = blocks_of(torch.nn.ModuleDict({"a": outer, "b": inner}))
    assert found == [inner[0], outer[1], outer[0]]
