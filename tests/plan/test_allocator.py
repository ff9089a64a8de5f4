"""Keeping freed memory works where there is glibc, and says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from limpid.plan.allocator import keep_freed_memory
x = torch.ones(64 << 18)  # 64 MiB

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        y = x * 2
        del y
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
kept = keep_freed_memory()
faults()
print(kept, plain, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt belongs to glibc")
def test_repeated_allocations_fault_fewer_pages_in() -> None:
    """How many fewer depends on where the heap happens to lie: a half to a tenth was seen."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, plain, after = result.stdout.split()
    if kept == "False" or int(plain) < 10_000:
        pytest.skip("this C library has no mallopt, or reuses memory by itself")
    assert int(after) <= 0.75 * int(plain)
