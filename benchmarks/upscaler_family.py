"""The SD x4 upscaler family at full size, with random weights: time and peak memory, beside diffusers and alone.

    python benchmarks/upscaler_family.py --what pair     # one picture through diffusers and through Limpid
    python benchmarks/upscaler_family.py --what window   # one call of the U-Nets on a window of frames
    python benchmarks/upscaler_family.py --what decode   # one call of the decoders on a chunk of frames

``pair`` makes random weights once (``--folder`` keeps them), and gives the same files, prompt, noise and steps to both
sides. Every measurement is a process of its own, so that its peak memory is its own; sides take turns, so that all of
them see the same busy machine. Times are those of one thread unless ``--threads`` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from upscaler_family_sides import MEASURES, SIDES

TIMES = ("load_s", "text_s", "step_s", "decode_s", "call_s")
REFERENCE = "diffusers, tiles"
"""The setting of diffusers that ratios are taken to."""
MIB = 2**20
LONG_STEPS = 30


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Runs a task in a process of its own and returns what it prints last."""
    here = Path(__file__).with_name("upscaler_family_sides.py")
    done = subprocess.run([sys.executable, str(here), json.dumps(task)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def make_weights(folder: Path, size: str) -> None:
    """``diffusers`` as the makers offer it, ``image`` converted, ``video`` with temporal layers that do nothing."""
    from limpid.convert.convert import convert_weights
    from limpid.convert.random_weights import make_random_weights

    if (folder / "video" / "limpid.json").exists():
        return
    source = make_random_weights("sd-x4-upscaler", size, folder / "diffusers")
    classes = {"vae": "AutoencoderKL", "unet": "UNet2DConditionModel"}
    classes |= {"scheduler": "DDIMScheduler", "low_res_scheduler": "DDPMScheduler"}
    index: dict[str, Any] = {name: ["diffusers", kind] for name, kind in classes.items()}
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    (source / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionUpscalePipeline", **index}))
    convert_weights("sd-x4-upscaler", source, folder / "image")
    convert_weights("sd-x4-upscaler", source, folder / "video", temporal=True)


def pair(options: argparse.Namespace, folder: Path) -> None:
    make_weights(folder, options.size)
    common = {"folder": str(folder), "lr_px": options.lr_px, "steps": options.steps, "threads": options.threads}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.sides}
    for number in range(options.runs):
        for name in options.sides:
            result = str(folder / f"{name}.pt")
            found = measure({"measure": "side", "side": name, "frames": options.frames, "result": result, **common})
            runs[name].append(found)
            print(f"  run {number + 1}, {name}: {json.dumps(found)}", file=sys.stderr, flush=True)
    print(f"{4 * options.lr_px}x{4 * options.lr_px}, {options.steps} steps, per frame: least (median), in s and MiB")
    print_row(["", *(name[:-2] for name in TIMES), f"{LONG_STEPS} steps", "peak", "peak/frame"])
    for name, found in runs.items():
        print_row([name, *(spread([run[key] for run in found]) for key in TIMES), *sizes(found)])
    print_ratios(runs)
    print_differences(folder, list(runs))


def sizes(found: list[dict[str, Any]]) -> list[str]:
    peak = median(run["peak"] for run in found) / MIB
    return [f"{min(long_call(run) for run in found):.1f}", f"{peak:.0f}", f"{peak / found[0]['frames']:.0f}"]


def long_call(run: dict[str, Any]) -> float:
    """Seconds per frame of a call with as many steps as users take."""
    return float(run["text_s"] + LONG_STEPS * run["step_s"] + run["decode_s"])


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} ({median(values):.2f})"


def print_row(cells: list[str]) -> None:
    print(" | ".join(f"{cell:>30}" if i == 0 else f"{cell:>15}" for i, cell in enumerate(cells)))


def print_ratios(runs: dict[str, list[dict[str, Any]]]) -> None:
    """To the reference, of the least times, which others on the machine disturb least, and of the medians."""
    if REFERENCE not in runs:
        return
    base = runs[REFERENCE]
    print(f"over {REFERENCE!r}: time of a step, of a call of {LONG_STEPS} steps: least (median); peak, peak per frame")
    for name, found in runs.items():
        times = [
            [kind(map(of, found)) / kind(map(of, base)) for kind in (min, median)]
            for of in (lambda run: run["step_s"], long_call)
        ]
        peak = median(run["peak"] for run in found) / median(run["peak"] for run in base)
        ratios = [f"{least:.3f} ({middle:.3f})" for least, middle in times]
        print_row([name, *ratios, f"{peak:.3f}", f"{peak / found[0]['frames']:.3f}"])


def print_differences(folder: Path, names: list[str]) -> None:
    """How far the first frames are from diffusers' without tiles, whose seams are its own."""
    import torch

    whole = "diffusers, no tiles"
    if whole not in names:
        return
    pictures = {name: torch.load(folder / f"{name}.pt") for name in names}
    print(f"first frame against {whole!r}: largest difference of values in [0, 1], difference over deviation")
    for name, picture in pictures.items():
        difference = picture[0] - pictures[whole][0]
        print_row([name, f"{difference.abs().max():.1e}", f"{difference.std() / pictures[whole][0].std():.1e}"])


def calls(options: argparse.Namespace, kind: str) -> None:
    """U-Nets or decoders alone: time of a call, and its peak memory over what lay there before."""
    frames = options.frames
    print(f"one {kind} call, {frames} frames of {options.lr_px}x{options.lr_px} latents, float32: s; MiB over weights")
    for name in options.networks or MEASURES[kind]:
        task = {"measure": kind, "name": name, "frames": frames, "lr_px": options.lr_px}
        found = [measure({**task, "size": options.size, "threads": options.threads}) for _ in range(options.runs)]
        work = median(run["work"] for run in found)
        each = work / (frames * options.lr_px**2)
        weights, peak = found[0]["weights"] / MIB, median(run["peak"] for run in found) / MIB
        took = spread([run["call_s"] for run in found])
        bytes_text = f"work {work / MIB:.0f} MiB = {each:.0f} bytes per LR pixel and frame"
        print(f"{name:>20}: {took} s, weights {weights:.0f} MiB, {bytes_text}, process {peak:.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=("pair", *MEASURES), default="pair")
    parser.add_argument("--size", choices=("tiny", "full"), default="full")
    parser.add_argument("--lr-px", type=int, help="height and width (default: 128 for pair, else 64)")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--frames", type=int, help="in a window (default: 4 for pair, else 8)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[name for name in SIDES if "bfloat16" not in name])
    parser.add_argument("--networks", nargs="+", help="of window and decode (default: all)")
    parser.add_argument("--folder", type=Path, help="for random weights, kept there for the next time")
    options = parser.parse_args()
    options.lr_px = options.lr_px or (128 if options.what == "pair" else 64)
    options.frames = options.frames or (4 if options.what == "pair" else 8)
    if options.what != "pair":
        calls(options, options.what)
        return
    with tempfile.TemporaryDirectory() as folder:
        pair(options, options.folder or Path(folder))


if __name__ == "__main__":
    main()
