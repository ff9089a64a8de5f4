"""The first load of a network of ncnn that came from anyone: in a process of its own, with little memory.

ncnn trusts its files: what is wrong in them can end the process that reads them. So a network that was not met before
is read, probed and judged by a child (``python -m limpid.runtimes.trial STEM``), which answers with one line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from limpid.bounded import cut, json_object, one_line, parse_json
from limpid.runtimes.files import NcnnFiles
from limpid.runtimes.network import NcnnNetwork
from limpid.runtimes.package import import_ncnn
from limpid.runtimes.probe import ImageNetworkFacts, probe_network
from limpid.types import LimpidError, WeightsError

MEMORY_BYTES = 2 << 30
LONGEST_S = 600.0


def examine_network(files: NcnnFiles) -> ImageNetworkFacts:
    """What a network does. Raises WeightsError for one that cannot be used, whatever it does to its process."""
    files.check()
    import_ncnn("a network in the files of ncnn")
    answer, code = _ask(files.stem)
    try:
        values = json_object(parse_json(answer.splitlines()[-1]))
        if "error" in values:
            raise WeightsError(f"{files.param} cannot be used: {cut(one_line(str(values['error'])), 300)}")
        return ImageNetworkFacts.from_dict(values)
    except (ValueError, IndexError):
        raise WeightsError(
            f"{files.param} cannot be used: ncnn broke off in its first try with it, code {code}; its files are "
            f"damaged, or it needs more than {MEMORY_BYTES >> 30} GiB for small pictures"
        ) from None


def _ask(stem: Path) -> tuple[bytes, int]:
    """What the child says, and how it ended."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "limpid.runtimes.trial", str(stem.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads},
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return json.dumps({"error": f"small pictures take it longer than {LONGEST_S:g} s"}).encode(), 0
    return done.stdout, done.returncode


def enlarge_once(network: NcnnNetwork, picture: np.ndarray) -> np.ndarray:
    """A picture through a network of one input and one output; ``3 h w`` -> ``3 H W``, float32."""
    if len(network.input_names) != 1 or len(network.output_names) != 1:
        raise WeightsError(
            f"it has {len(network.input_names)} inputs and {len(network.output_names)} outputs; one of each is needed"
        )
    given = {network.input_names[0]: network.mat(picture)}
    return np.array(network.run(given, network.output_names)[0])


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return  # not a system that can
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak_bytes() -> int:
    """The most memory that this process had, which ``ru_maxrss`` mixes up with its parent's; 0: unknown."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _trial(stem: Path) -> dict[str, object]:
    try:
        network = NcnnNetwork(stem)
        return probe_network(lambda picture: enlarge_once(network, picture), _peak_bytes).to_dict()
    except LimpidError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"it needs more than {MEMORY_BYTES >> 30} GiB for small pictures"}


if __name__ == "__main__":
    _limit_memory()
    sys.stdout.write(json.dumps(_trial(Path(sys.argv[1]))) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a network that is taken down may crash, too; nothing is left to do
