"""The page itself: one HTML file with its style, its script and all data inside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from limpid import __version__
from limpid.bench.compare.charts import Chart, finite, svg
from limpid.bench.compare.crops import Crop
from limpid.bench.compare.film import ComparisonVideo
from limpid.bench.compare.measures import Measures
from limpid.bench.compare.pictures import coloured, data_uri, heat_map, heat_top, png_uri
from limpid.bench.compare.profiles import ProfileLine
from limpid.bench.compare.sources import ComparedFile, Sources, counted
from limpid.durable.files import clear_temporary, discard, publish, temporary_name
from limpid.video.files import writing
from limpid.viewer import inlined

ROW_WIDTH = 1200
"""Pixels that a row of crops may take before it wraps; they are enlarged by a whole factor from 2 to 4."""
PROFILE_LENGTH = 288
"""Pixels that the time axis of a profile is stretched to, by a whole factor."""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is shown. ``crop_pictures[c][s]`` and ``profiles[s]``: RGB uint8 ``h w 3`` of source ``s``."""

    sources: Sources
    measures: Measures
    film: ComparisonVideo
    crops: tuple[Crop, ...]
    crop_pictures: tuple[list[np.ndarray], ...]
    line: ProfileLine
    profiles: tuple[np.ndarray, ...]
    more_charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        return [item.label for item in self.sources.items]


def write_page(page: Page, out: Path, *, overwrite: bool) -> None:
    """Write the page under its name, complete or not at all; raises `OutputError`."""
    text, part = render(page), temporary_name(out)
    try:
        with writing(out):
            clear_temporary(part)
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
            publish(part, out, overwrite=overwrite)
    finally:
        discard(part)


def render(page: Page) -> str:
    """The HTML text. Nothing in it refers to another file; a content policy forbids it too."""
    template = files("limpid.bench.compare")
    parts = {
        "title": escape(" · ".join(page.labels)),
        "style": (template / "page.css").read_text("utf-8"),
        "script": inlined((template / "page.js").read_text("utf-8")),
        "data": _for_script(_data(page)),
        "film": data_uri(page.film.data, "video/mp4"),
        "film_text": escape(_film_text(page)),
        "subtitle": escape(_subtitle(page)),
        "notes": _notes(page),
        "options": "".join(f'<option value="{n}">{escape(name)}</option>' for n, name in enumerate(page.labels)),
        "last": str(page.sources.stop - page.sources.start - 1),
        "table": _table(page),
        "crops": "".join(_crop(page, number) for number in range(len(page.crops))),
        "profile_text": escape(_profile_text(page)),
        "profiles": "".join(_profile(page, number) for number in range(len(page.labels))),
        "legend": _legend(page.labels),
        "charts": "".join(_chart(page, chart) for chart in charts(page) if any(map(finite, chart.curves))),
        "heat": _heat(page),
        "version": escape(__version__),
    }
    return Template((template / "page.html").read_text("utf-8")).substitute(parts)


def charts(page: Page) -> list[Chart]:
    """The curves that are shown."""
    base, found = page.labels[0], page.measures
    truth = "the reference" if page.sources.items[0].role == "reference" else f"{base}, the first input"
    away = "RGB, 8 bit, no crop, per frame; higher is nearer"
    return [
        Chart(title=f"PSNR to {truth}", unit="dB", note=away, curves=found.psnr),
        Chart(title="Mean level", unit="0..255", note="mean of Y; drift of brightness shows here", curves=found.level),
        Chart(
            title="Frame-to-frame difference",
            unit="levels of 255",
            note="mean |Y(t) - Y(t-1)|; motion and flicker together, so compare the curves with each other",
            curves=found.change,
        ),
        *page.more_charts,
    ]


def _for_script(values: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(values).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(page: Page) -> dict[str, object]:
    layout, fps = page.film.layout, page.sources.items[0].clip.fps
    return {
        "labels": page.labels,
        "frames": page.sources.stop - page.sources.start,
        "first": page.sources.start,
        "fps": [fps.numerator, fps.denominator],
        "columns": layout.columns,
        "tile": layout.tile,
        "picture": [layout.width, layout.height],
        "scale": layout.width / page.sources.width,
        "crops": [list(crop) for crop in page.crops],
    }


def _subtitle(page: Page) -> str:
    sources = page.sources
    fps = float(sources.items[0].clip.fps)
    count = sources.stop - sources.start
    frames = f"frames {sources.start} to {sources.stop - 1} ({count})"
    return f"{sources.width}×{sources.height}, {frames}, {fps:.5g} per second"


def _film_text(page: Page) -> str:
    film = page.film
    shrunk = "" if film.layout.width == page.sources.width else f", shrunk to {film.layout.width}×{film.layout.height}"
    return (
        f"The player shows a copy encoded for browsers (H.264, rate factor {film.crf}, 4:2:0{shrunk}, "
        f"{len(film.data) / 1e6:.3g} MB). Crops, profiles, curves and heat maps come from the frames of the files "
        "themselves and are kept without loss."
    )


def _notes(page: Page) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in (*page.notes, *page.sources.notes))
    return f'<ul class="notes">{items}</ul>' if items else ""


def _table(page: Page) -> str:
    shown = charts(page)
    heads = "".join(f'<th scope="col">{escape(chart.title)}<small>{escape(chart.unit)}</small></th>' for chart in shown)
    rows = "".join(
        f'<tr><th scope="row"><i class="key s{n % 8}"></i>{escape(item.label)}</th><td class="file">{_file(item)}</td>'
        + "".join(f"<td>{escape(chart.mean(n))}</td>" for chart in shown)
        + "</tr>"
        for n, item in enumerate(page.sources.items)
    )
    return f'<thead><tr><th scope="col">Source</th><th scope="col">File</th>{heads}</tr></thead><tbody>{rows}</tbody>'


def _file(item: ComparedFile) -> str:
    lossy = f'<span class="flag">lossy: {escape(item.lossy)}</span>' if item.lossy else ""
    enlarged = '<span class="flag">enlarged bicubically</span>' if item.role == "input" else ""
    role = '<span class="flag plain">reference</span>' if item.role == "reference" else ""
    size = f"{item.clip.width}×{item.clip.height}, {counted(item.timeline.num_frames)}"
    return f"{escape(item.name)}<small>{size}</small>{role}{enlarged}{lossy}"


def _figure(picture: np.ndarray, label: str, alt: str, number: int, stretch: tuple[int, int] = (1, 1)) -> str:
    """``stretch``: how many times as high and wide the picture is shown."""
    height, width = (side * times for side, times in zip(picture.shape[:2], stretch, strict=True))
    return (
        f'<figure><img src="{png_uri(picture)}" width="{width}" height="{height}" alt="{escape(alt)}">'
        f'<figcaption><i class="key s{number % 8}"></i>{escape(label)}</figcaption></figure>'
    )


def _crop(page: Page, number: int) -> str:
    crop, frame = page.crops[number], page.crops[number].frame
    place = f"x {crop.x}, y {crop.y}, {crop.width}×{crop.height}, frame {page.sources.start + frame}"
    times = max(2, min(4, ROW_WIDTH // (len(page.labels) * crop.width)))
    figures = "".join(
        _figure(picture, label, f"{label}: {place}", n, (times, times))
        for n, (picture, label) in enumerate(zip(page.crop_pictures[number], page.labels, strict=True))
    )
    button = f'<button type="button" data-crop="{number}">Play this part</button>'
    return f'<div class="crop"><h3>{number + 1}: {place} {button}</h3><div class="row">{figures}</div></div>'


def _profile_text(page: Page) -> str:
    line = page.line
    along, runs = ("rows", "to the right") if line.kind == "column" else ("columns", "down")
    return (
        f"{line.kind.capitalize()} {line.at}, {along} {line.first} to {line.stop - 1}; time runs {runs}, one pixel "
        "per frame (stretched for display). Steady detail draws even bands, flicker draws combs."
    )


def _profile(page: Page, number: int) -> str:
    label, picture = page.labels[number], page.profiles[number]
    axis = 1 if page.line.kind == "column" else 0
    times = max(1, PROFILE_LENGTH // picture.shape[axis])
    alt = f"{label}: {page.line.kind} {page.line.at} over time"
    return _figure(picture, label, alt, number, (1, times) if axis else (times, 1))


def _legend(labels: list[str]) -> str:
    items = "".join(f'<li><i class="key s{n % 8}"></i>{escape(label)}</li>' for n, label in enumerate(labels))
    return f'<ul class="legend">{items}</ul>'


def _chart(page: Page, chart: Chart) -> str:
    drawn = svg(chart, page.labels, page.sources.start)
    head = f"{escape(chart.title)} <small>{escape(chart.unit)}</small>"
    return f"<figure><h3>{head}</h3>{drawn}<figcaption>{escape(chart.note)}</figcaption></figure>"


def _heat(page: Page) -> str:
    """Maps of all sources but the base, on one scale."""
    differences = list(page.measures.difference[1:])
    top = heat_top(differences)
    figures = "".join(
        _figure(heat_map(part, top), label, f"mean difference of {label} to {page.labels[0]}", number)
        for number, (part, label) in enumerate(zip(differences, page.labels[1:], strict=True), 1)
    )
    bar = png_uri(coloured(np.tile(np.linspace(0, 1, 256), (8, 1))))
    image = f'<img src="{bar}" width="256" height="8" alt="black to pale yellow">'
    scale = f'<p class="scale">0 {image} {top:.1f} levels of 255</p>'
    return f'<p>Mean over time of |Y - Y of {escape(page.labels[0])}|.</p>{scale}<div class="row">{figures}</div>'
