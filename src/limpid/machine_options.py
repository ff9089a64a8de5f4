"""Options on the machines that compute: a part of the one table, `limpid.settings.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from limpid import choices
from limpid.choices import MACHINE
from limpid.options.declare import Needs, option
from limpid.options.table import Options
from limpid.spellings import CLUSTER_NAMES, DEVICE_NAMES, WORKER_NAMES

PLACES = ("workers", "cluster", "mixed", "wait_s")
"""Names of the options that say which machines compute: where that is, is no matter of a film or of a method."""
WAIT_S = 60
"""How long nobody may answer before a run gives up."""


@dataclass(frozen=True, kw_only=True)
class MachineOptions(Options):
    """The rows of the table under the heading "the machine"."""

    device: str = option(
        "auto",
        MACHINE,
        "always",
        "auto, cpu, mps, cuda, cuda:N, vulkan or vulkan:N",
        metavar="NAME",
        in_key=False,
        pattern=DEVICE_NAMES,
    )
    """"auto" takes cuda, then mps, then cpu; on Vulkan devices only networks in ncnn run."""
    runtime: choices.Runtime = option(
        "auto", MACHINE, "engine", "what computes the network (default: the fastest here)", in_key=False
    )
    """"auto" looks into the table of measurements that ``limpid doctor`` shows."""
    dtype: choices.DType = option("auto", MACHINE, "always", "number format of the network")
    """"auto" takes bfloat16 where the machine is fast at it."""
    tile_px: int | None = option(
        None, MACHINE, "engine", "edge of a tile in input pixels (default: from the free memory)", least=16
    )
    segment_frames: int | None = option(
        None, MACHINE, "always", "frames of a segment, the unit kept after a crash", least=1
    )
    """None: 2 s or more."""
    window_frames: int | None = option(
        None, MACHINE, "engine", "frames seen at once (default: the method's own)", least=1
    )
    offload: choices.AskedOffload = option(
        "auto", MACHINE, "engine", "keep only one network, or a few layers, on the device at a time", in_key=False
    )
    """"auto" decides by the device's memory."""
    attention_kernel: choices.AttentionKernel = option(
        "auto", MACHINE, "engine", "PyTorch's attention kernel", in_key=False
    )
    compile: bool = option(False, MACHINE, "engine", "torch.compile the denoiser: a slow start, then faster")
    workers: str | None = option(
        None,
        MACHINE,
        "files",
        "spread over workers: auto, a number, or GPUs (cuda:0,cuda:1)",
        metavar="auto|N|NAMES",
        in_key=False,
        pattern=WORKER_NAMES,
    )
    """None: this process computes by itself. Needs the extra ``limpid[ray]``."""
    cluster: str | None = option(
        None,
        MACHINE,
        "files",
        "a Ray cluster: HOST:PORT, or auto",
        metavar="ADDRESS",
        in_key=False,
        pattern=CLUSTER_NAMES,
    )
    mixed: bool = option(
        False,
        MACHINE,
        "files",
        "let unlike workers in, a kind of machine for each shot",
        in_key=False,
        needs=Needs(
            "mixed has no effect without workers; add --workers or --cluster", {"workers": None, "cluster": None}
        ),
    )
    """Otherwise all workers are alike, so that the result could not differ: see `limpid.cluster.kinds`."""
    wait_s: int = option(
        WAIT_S,
        MACHINE,
        "files",
        "seconds to wait for the first worker, where machines take minutes to come",
        least=1,
        most=86_400,
        in_key=False,
        needs=Needs(
            "wait_s has no effect without workers; add --workers or --cluster", {"workers": None, "cluster": None}
        ),
    )
    threads: int | None = option(
        None, MACHINE, "always", "processor threads (default: all that may be used)", least=1, most=256, in_key=False
    )
    """Threads of computing and of the encoder; of each worker, where there are several."""

    def check_places(self) -> None:
        """Raises SettingsError for an option about workers where there are none."""
        self.refuse(**{name: getattr(self, name) for name in PLACES})
