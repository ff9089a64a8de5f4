"""Keeping freed memory works where there is glibc, and says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from limpid.engine.allocator import keep_freed_memory
kept = keep_freed_memory()
x = torch.ones(64 << 18)  # 64 MiB
for _ in range(3):
    y = x * 2
    del y
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    y = x * 2
    del y
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt belongs to glibc")
def test_a_repeated_allocation_faults_no_pages_in() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, faults = result.stdout.split()
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert int(faults) < 1000, "ten passes over 64 MiB would fault 160,000 pages of 4 KiB"
