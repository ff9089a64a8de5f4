"""``limpid bench guidance``: SAG, PAG and DSSAG on a text-to-image model, by IS, FID and network calls per step."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from limpid.cli.parser import Parser, parse
from limpid.types import SettingsError

USAGE = "limpid bench guidance --model DIR --captions FILE --out RUN [--reference DIR] [options]"
_CHOICES = ("none", "cfg", "sag", "pag", "dssag")
_PROGRESS_EVERY_S = 5.0


def guidance(arguments: list[str]) -> int:
    """Draw the pictures that are missing, measure them, print the table; returns 0. Raises LimpidError."""
    options = parse(guidance_parser(), arguments)
    names = tuple(name.strip() for name in options.guidance.split(","))
    for name in names:
        if name not in _CHOICES:
            raise SettingsError(f"there is no guidance {name!r}; there are {', '.join(_CHOICES)}")
    from limpid.bench.guidance import GuidanceBench, guidance_json, guidance_lines, run_guidance
    from limpid.plan.device import choose_machine

    bench = GuidanceBench(
        model=Path(options.model),
        captions=Path(options.captions),
        out=Path(options.out),
        guidances=names,
        count=options.count,
        steps=options.steps,
        scale=options.guidance_scale,
        size_px=options.size,
        seed=options.seed,
        reference=None if options.reference is None else Path(options.reference),
    )
    rows = run_guidance(bench, choose_machine(options.device, options.dtype, options.threads), _Progress())
    print(
        json.dumps([guidance_json(row) for row in rows], indent=2) if options.json else "\n".join(guidance_lines(rows))
    )
    return 0


def guidance_parser() -> Parser:
    parser = Parser(
        "limpid bench guidance",
        usage=USAGE,
        description="Compare guidances on Stable Diffusion, as DC-VSR Table 3; a run that was stopped goes on.",
    )
    what = parser.add_argument_group("what is compared")
    what.add_argument("--model", metavar="DIR", required=True, help="Stable Diffusion in the layout of diffusers")
    what.add_argument("--captions", metavar="FILE", required=True, help="one per line, or COCO's captions_*.json")
    what.add_argument("--out", metavar="RUN", required=True, help="folder for pictures and table")
    what.add_argument("--reference", metavar="DIR", help="real pictures for FID, such as COCO's val2014")
    what.add_argument("--guidance", metavar="LIST", default="sag,pag,dssag", help="of none, cfg, sag, pag, dssag")
    how = parser.add_argument_group("how")
    how.add_argument("--count", metavar="N", type=int, default=10_000, help="captions (default: 10000, the paper's)")
    how.add_argument("--steps", metavar="N", type=int, default=50, help="of DDIM (default: 50)")
    how.add_argument("--guidance-scale", metavar="W", type=float, default=7.5, help="default: 7.5")
    how.add_argument("--size", metavar="PX", type=int, default=512, help="of the pictures (default: 512)")
    how.add_argument("--seed", metavar="N", type=int, default=0, help="of the noise (default: 0)")
    how.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, mps")
    how.add_argument("--dtype", metavar="NAME", default="auto", help="auto, float32, bfloat16, float16")
    how.add_argument("--threads", metavar="N", type=int, help="of the processor")
    how.add_argument("--json", action="store_true", help="the table as JSON on stdout")
    return parser


class _Progress:
    """A line on stderr every few seconds, and one at the end of each guidance."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self.last >= _PROGRESS_EVERY_S:
            self.last = now
            sys.stderr.write(f"{name}: {done} of {total} pictures\n")
