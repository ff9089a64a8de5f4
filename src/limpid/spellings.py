"""Options that are texts with a form of their own: a part of a film, names joined by "+", a list of steps, a time."""

from __future__ import annotations

import re
from fractions import Fraction

from limpid.bounded import quoted
from limpid.types import SettingsError

CONSISTENCY = ("none", "propagation", "noise", "transition", "motion", "filter")
WORKER_NAMES = r"auto|[1-9]\d{0,3}|cuda:\d{1,2}(,cuda:\d{1,2})*"
CLUSTER_NAMES = r"auto|[\w.:\[\]-]{1,253}"
DEVICE_NAMES = r"auto|cpu|mps|cuda(:\d{1,2})?|vulkan(:\d{1,2})?"


def parse_preview(text: str) -> tuple[Fraction, Fraction]:
    """``"00:01-00:03.5"`` -> ``(1, 7/2)``, in seconds from the first frame shown. Raises SettingsError."""
    parts = text.split("-")
    if len(parts) != 2:
        raise SettingsError(f"preview is {quoted(text)}; write it as START-STOP, for instance 00:01-00:03")
    start, stop = (parse_time(part) for part in parts)
    if start >= stop:
        raise SettingsError(f"preview {quoted(text)} is empty: its start must be before its stop")
    return start, stop


def parse_consistency(text: str) -> frozenset[str]:
    """``"noise+transition"`` -> those names, ``"none"`` -> nothing. Raises SettingsError."""
    names = [name.strip() for name in text.split("+")]
    if any(name not in CONSISTENCY for name in names) or ("none" in names and len(names) > 1):
        known = ", ".join(CONSISTENCY[1:])
        raise SettingsError(f"consistency is {quoted(text)}; it can be none, or {known} joined by +")
    return frozenset(names) - {"none"}


def parse_steps(text: str) -> tuple[int | float, ...]:
    """``"24,26,28"`` -> loop indices, ``"0.8,0.9"`` -> fractions of the schedule in [0, 1); at least one.

    Raises SettingsError.
    """
    steps: list[int | float] = []
    for part in (p.strip() for p in text.split(",") if p.strip()):
        if re.fullmatch(r"\d{1,6}", part):
            steps.append(int(part))
        elif re.fullmatch(r"0?\.\d{1,12}", part):
            steps.append(float(part))
        else:
            raise SettingsError(f"{quoted(part)} is not a step; write loop indices (24,26,28) or fractions (0.8,0.9)")
    if not steps:
        raise SettingsError(
            "propagation_steps names no step; write loop indices (24,26,28) or fractions (0.8,0.9), or take "
            "propagation out of consistency"
        )
    return tuple(steps)


def parse_time(text: str) -> Fraction:
    """``"01:02:03.5"``, ``"02:03.5"`` or ``"3.5"`` -> seconds, exactly. Raises SettingsError."""
    fields = text.strip().split(":")
    whole, last = fields[:-1], fields[-1]
    good = all(re.fullmatch(r"\d{1,9}", f) for f in whole) and re.fullmatch(r"\d{1,9}(\.\d{0,12})?|\.\d{1,12}", last)
    if len(fields) > 3 or not good:
        raise SettingsError(f"{quoted(text)} is not a time; write hours:minutes:seconds, for instance 00:01:02.5")
    seconds = Fraction(0)
    for value in fields:
        seconds = seconds * 60 + Fraction(value.removesuffix("."))
    return seconds
