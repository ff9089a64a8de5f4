"""Curves over time as SVG, readable without a script; the page adds the mark of the current frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

from limpid.bench.compare.measures import Curve

_WIDTH, _HEIGHT = 440, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One measure over time; ``curves`` has an entry per source, None where the measure does not apply."""

    title: str
    unit: str
    note: str
    curves: tuple[Curve | None, ...]
    means: tuple[str, ...] | None = None
    """What a table shows for each source; None: the means of the curves."""

    def mean(self, number: int) -> str:
        return mean_text(self.curves[number]) if self.means is None else self.means[number]


def finite(curve: Curve | None) -> list[float]:
    return [value for value in curve or () if value is not None and isfinite(value)]


def mean_text(curve: Curve | None) -> str:
    """The mean of the values of a curve for a table; identical frames have no finite PSNR and are told apart."""
    if curve is None:
        return "–"
    numbers = finite(curve)
    same = sum(value == float("inf") for value in curve)
    if same:
        return "identical" if not numbers else f"{_mean(numbers):.2f} ({same} frames identical)"
    return f"{_mean(numbers):.2f}" if numbers else "n/a: one frame"


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def svg(chart: Chart, labels: Sequence[str], first_frame: int) -> str:
    """The chart as an SVG element of 440x190 units; class ``s0``, ``s1``... gives a curve the colour of its source."""
    values = [value for curve in chart.curves for value in finite(curve)]
    length = max((len(curve) for curve in chart.curves if curve), default=0)
    if not values or length < 2:
        return '<p class="empty">n/a: too few frames for a curve, or all identical</p>'
    scale = _Scale(min(values), max(values), length)
    drawn = "".join(
        _curve(curve, number, label, scale)
        for number, (curve, label) in enumerate(zip(chart.curves, labels, strict=True))
        if curve is not None
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(chart.title)} per frame" '
        f'data-left="{_LEFT}" data-right="{_WIDTH - _RIGHT}">{_grid(scale, first_frame)}{drawn}'
        f'<line class="now" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/></svg>'
    )


class _Scale:
    """From frames and values to units of the drawing."""

    def __init__(self, low: float, high: float, length: int) -> None:
        self.step = nice_step((high - low) / 4 or 1.0)
        self.low = floor(low / self.step) * self.step
        self.high = max(self.low + self.step, high)
        self.length = length

    def x(self, number: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * number / (self.length - 1)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        count = floor((self.high - self.low) / self.step + 1e-9)
        return [self.low + n * self.step for n in range(count + 1)]


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``rough``."""
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))


def _grid(scale: _Scale, first_frame: int) -> str:
    digits = max(0, -floor(log10(scale.step)))
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{scale.y(v):.1f}" y2="{scale.y(v):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{scale.y(v) + 4:.1f}" text-anchor="end">{v:.{digits}f}</text>'
        for v in scale.ticks()
    ]
    last = scale.length - 1
    marks = sorted({0, last // 4, last // 2, last * 3 // 4, last})
    anchors, foot = {0: "start", last: "end"}, _HEIGHT - 8
    lines += [
        f'<text x="{scale.x(n):.1f}" y="{foot}" text-anchor="{anchors.get(n, "middle")}">{first_frame + n}</text>'
        for n in marks
    ]
    return "".join(lines)


def _curve(curve: Curve, number: int, label: str, scale: _Scale) -> str:
    """One path; it breaks where there is no value."""
    commands, down = [], False
    for n, value in enumerate(curve):
        known = value is not None and isfinite(value)
        if known and value is not None:
            commands.append(f"{'L' if down else 'M'}{scale.x(n):.1f} {scale.y(value):.1f}")
        down = known
    return f'<path class="curve s{number % 8}" d="{"".join(commands)}"><title>{escape(label)}</title></path>'
