"""Keeps freed memory in the process, so that large tensors do not fault in fresh pages again and again.

glibc maps every large allocation anew and unmaps it when it is freed. The next tensor of the same size then costs a
page fault per 4 KiB, which takes longer than the arithmetic of an addition or a multiplication (measured on two
cores: an elementwise operation on a 265 MB tensor took 0.21 s of processor time, 0.04 to 0.08 s when its memory was
reused).
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of ``mallopt(3)``."""


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed memory instead of giving it back; False where there is no glibc.

    For the whole process, and harmless to repeat. What is held between peaks grows. So do the peaks of networks whose
    tensors have many sizes, because freed pieces do not fit: by a quarter for Stable Diffusion, which is no faster.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, ctypes.c_int(2**31 - 1)))


def free_memory() -> None:
    """Gives back what networks that are no longer used had taken, the accelerator's cached blocks included."""
    gc.collect()
    trim_heap()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def trim_heap() -> None:
    """Gives freed memory of the process back to the system, which glibc keeps when it was told to (or by chance).

    What an encoder of 1.3 GB leaves is in pieces that the layers of the next network do not fit into.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
