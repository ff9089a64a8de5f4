"""Losses and validation metrics over the steps of a run, or over anything else, as one SVG file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 180, 64, 12, 24, 28
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")
MOST_POINTS = 600

Points = Sequence[tuple[float, float]]


def curves_svg(lines: Sequence[Mapping[str, Any]], axis: str = "step") -> str:
    """A panel for each stage's terms and one for each stage's validation metrics, one below the other.

    ``axis``: what the number ``step`` of a line is called.
    """
    panels = []
    for kind, key in (("step", "terms"), ("validation", "metrics")):
        for stage in dict.fromkeys(line["stage"] for line in lines if line["kind"] == kind):
            curves = _curves([line for line in lines if line["kind"] == kind and line["stage"] == stage], key)
            panels += [_panel(f"{stage}: {title}", group, axis) for title, group in _groups(curves, kind)]
    body = "".join(f'<g transform="translate(0 {n * _HEIGHT})">{panel}</g>' for n, panel in enumerate(panels))
    height = max(len(panels), 1) * _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{_WIDTH}" height="{height}" fill="#fff"/>{body}</svg>\n'
    )


def _curves(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line[key].items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                curves.setdefault(name, []).append((line["step"], value))
    return curves


def _groups(curves: Mapping[str, Points], kind: str) -> list[tuple[str, Mapping[str, Points]]]:
    """Terms share a panel; metrics have units of their own, and those of one name before its ``:`` go together."""
    if kind == "step":
        return [("loss terms", curves)] if curves else []
    names = dict.fromkeys(name.partition(":")[0] for name in curves)
    return [(base, {n: c for n, c in curves.items() if n.partition(":")[0] == base}) for base in names]


def _panel(title: str, curves: Mapping[str, Points], axis: str) -> str:
    xs, ys = ([point[axis] for curve in curves.values() for point in curve] for axis in (0, 1))
    low, high, last = min(ys), max(ys), max(max(xs), 1)
    high = high if high > low else low + (abs(low) or 1.0)

    def place(point: tuple[float, float]) -> str:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * point[0] / last
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (point[1] - low) / (high - low)
        return f"{x:.1f} {y:.1f}"

    marks = [f'<text x="{_LEFT}" y="15" font-weight="bold">{escape(title)}</text>']
    for value in (low, (low + high) / 2, high):
        x, y = place((0, value)).split()
        marks.append(f'<path d="M{x} {y}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    marks.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 10}" text-anchor="end">{escape(axis)} {last:g}</text>')
    for n, (name, curve) in enumerate(curves.items()):
        color = COLORS[n % len(COLORS)]
        path = "L".join(place(point) for point in thinned(curve))
        marks.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        marks.append(f'<text x="{_LEFT + 110 * n}" y="{_HEIGHT - 10}" fill="{color}">{escape(name)}</text>')
    return "".join(marks)


def thinned(curve: Points) -> Points:
    """At most `MOST_POINTS` points, each the mean of its neighbours."""
    size = -(-len(curve) // MOST_POINTS)
    groups = [curve[at : at + size] for at in range(0, len(curve), size)]
    return [(sum(p[0] for p in g) / len(g), sum(p[1] for p in g) / len(g)) for g in groups]
