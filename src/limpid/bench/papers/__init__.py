"""The four papers: every table and figure, what makes each row of it here, and what nobody can have.

Plain data, from which ``limpid bench paper`` and ``docs/reproduce.md`` are made.
"""

from __future__ import annotations

from limpid.bench.papers.dc_vsr import DC_VSR_PAPER
from limpid.bench.papers.diffvsr import DIFFVSR_PAPER
from limpid.bench.papers.kinds import Paper, PaperPart
from limpid.bench.papers.mgld_vsr import MGLD_VSR_PAPER
from limpid.bench.papers.upscale_a_video import UPSCALE_A_VIDEO_PAPER
from limpid.types import SettingsError

PAPERS: dict[str, Paper] = {
    paper.name: paper for paper in (UPSCALE_A_VIDEO_PAPER, MGLD_VSR_PAPER, DIFFVSR_PAPER, DC_VSR_PAPER)
}
"""Name of a method -> its paper."""


def find_paper(name: str) -> Paper:
    """Raises SettingsError for a name that is none of the four."""
    if name not in PAPERS:
        raise SettingsError(f"there is no paper {name!r}; there are {', '.join(PAPERS)}")
    return PAPERS[name]


def find_part(paper: Paper, text: str) -> PaperPart:
    """A table by its number (``2``, ``"Table 2"``) or a figure (``fig7``, ``"Figure 7"``). Raises SettingsError."""
    plain = text.lower().replace(" ", "").replace(".", "")
    name = plain.removeprefix("table").removeprefix("tab").replace("figure", "fig")
    for part in paper.parts:
        if part.name == name:
            return part
    names = ", ".join(part.name for part in paper.parts)
    raise SettingsError(f"{paper.title} has no table or figure {text!r}; it has {names}")
