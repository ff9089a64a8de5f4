"""What `upscaler_family.py` runs in processes of their own; prints one line of JSON.

    python benchmarks/upscaler_family_sides.py '{"measure": "side", ...}'

Times are seconds of the processor per frame, of all threads; memory is in bytes. Peaks are those of the resident memory
of the process, which Linux counts and, for single calls, lets us count anew.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT, NEGATIVE, NOISE_LEVEL, GUIDANCE, SEED = "a picture of a cat", "blurry", 20, 6.0, 0
SIDES = (
    "diffusers, tiles",
    "diffusers, no tiles",
    "diffusers, tiles, bfloat16",
    "limpid, 1 frame",
    "limpid, window",
    "limpid, 1 frame, temporal",
    "limpid, window, temporal",
)
MEASURES = {
    "window": ("upscale-a-video", "diffvsr", "sd-x4-upscaler"),
    "decode": ("image", "video", "temporal", "light"),
}


# -------------------------------------------------------------------------------------------- one side of the pair


def run_side(task: dict[str, Any]) -> dict[str, Any]:
    return (run_diffusers if task["side"].startswith("diffusers") else run_limpid)(task)


def run_diffusers(task: dict[str, Any]) -> dict[str, Any]:
    """One picture. Its pipeline takes lists of pictures too, and works on them as one batch."""
    clock = Clock()
    import torch
    from diffusers import StableDiffusionUpscalePipeline

    dtype = torch.bfloat16 if "bfloat16" in task["side"] else torch.float32
    pipe = StableDiffusionUpscalePipeline.from_pretrained(Path(task["folder"]) / "diffusers", torch_dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    for network in (pipe.unet, pipe.vae):
        network.to(memory_format=torch.channels_last)
    if "no tiles" not in task["side"]:
        pipe.vae.enable_tiling()
    load_s = clock.lap()
    lr, latents, generator = inputs(task, 1)
    texts = pipe.encode_prompt(PROMPT, "cpu", 1, True, NEGATIVE)
    text_s = clock.lap()
    done = pipe(
        image=lr,
        prompt_embeds=texts[0],
        negative_prompt_embeds=texts[1],
        num_inference_steps=task["steps"],
        guidance_scale=GUIDANCE,
        noise_level=NOISE_LEVEL,
        generator=generator,
        latents=latents[0].transpose(0, 1).to(dtype),
        callback=lambda *_: clock.lap(),
        callback_steps=1,
        output_type="pt",
    ).images
    clock.lap()
    return report(task, 1, clock, load_s, text_s, done)


def run_limpid(task: dict[str, Any]) -> dict[str, Any]:
    """A window of frames, or one, as the engine computes a segment."""
    clock = Clock()
    import torch

    from limpid.methods.sd_x4_upscaler import sd_x4_upscaler
    from limpid.restoration.chunk import Chunk
    from limpid.restoration.loop import sample_segment
    from limpid.types import Placement, Segment, Window

    frames = 1 if "1 frame" in task["side"] else task["frames"]
    folder = Path(task["folder"]) / ("video" if "temporal" in task["side"] else "image")
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE}
    method = sd_x4_upscaler(weights=str(folder), noise_level=NOISE_LEVEL, guidance_scale=GUIDANCE, **words)
    text_s, prior = timed_text(lambda: method.load(Placement(device=torch.device("cpu"), dtype=torch.float32)))
    load_s = clock.lap() - text_s
    lr, _, generator = inputs(task, frames)
    object.__setattr__(prior, "low_res_noise", lambda scene, height, width: lr_noise(lr, generator))
    window = Window(start=0, stop=frames)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=frames, core=window, halo=window)
    steps = method.make_schedule(task["steps"])
    chunk = Chunk(frames=lr, segment=segment, on_share=lambda share: clock.lap() if 0 < share < 1 else None)
    done = sample_segment(method, prior, chunk, steps=steps, seed=SEED, color="none")
    clock.lap()
    return report(task, frames, clock, load_s, text_s, done)


def timed_text(load: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that encoding texts took inside ``load`` (without reading the encoder), and what it returned."""
    from limpid.priors.text import TextEncoder

    plain, seconds = TextEncoder.encode, 0.0

    def encode(self: TextEncoder, prompts: Any) -> Any:
        nonlocal seconds
        started = time.process_time()
        found = plain(self, prompts)
        seconds += time.process_time() - started
        return found

    TextEncoder.encode = encode
    loaded = load()
    return seconds, loaded


class Clock:
    """Seconds of the processor between laps, all of them kept; others on the machine do not count in them."""

    def __init__(self) -> None:
        self.last, self.laps = time.process_time(), list[float]()

    def lap(self) -> float:
        now = time.process_time()
        self.laps.append(now - self.last)
        self.last = now
        return self.laps[-1]


def inputs(task: dict[str, Any], frames: int) -> tuple[Any, Any, Any]:
    """The LR frames, the first latent that Limpid draws from the seed, and a generator for the noise of LR frames."""
    import torch

    from limpid.diffusion.noise import noise_clip

    size = task["lr_px"]
    lr = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(SEED)).expand(frames, -1, -1, -1)
    latents = noise_clip(SEED, "init", range(frames), 0, 4, size, size)
    return lr.contiguous(), latents, torch.Generator().manual_seed(SEED)


def lr_noise(lr: Any, generator: Any) -> Any:
    """``1 3 t h w``, the first frame's drawn as diffusers draws it."""
    import torch

    return torch.stack([torch.randn(lr[:1].shape, generator=generator)[0] for _ in lr], dim=1)[None]


def report(task: dict[str, Any], frames: int, clock: Clock, load_s: float, text_s: float, done: Any) -> dict[str, Any]:
    """The laps are: what came before, the steps, the decoder. The least step is reported: the first one warms up."""
    import torch

    steps, decode_s = clock.laps[-1 - task["steps"] : -1], clock.laps[-1]
    torch.save(done.float(), task["result"])
    return {
        "frames": frames,
        "load_s": load_s / frames,
        "text_s": text_s / frames,
        "step_s": min(steps) / frames,
        "steps_s": [step / frames for step in steps],
        "decode_s": decode_s / frames,
        "call_s": (text_s + sum(steps) + decode_s) / frames,
        "peak": memory("VmHWM"),
    }


# ------------------------------------------------------------------------------------------------------ one call


def run_window(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    network = prepared(lambda: make_unet(task["name"], task["size"]))
    frames, size = task["frames"], task["lr_px"]
    width = network.config.cross_attention_dim
    z, lr, text = (
        torch.randn(1, 4, frames, size, size),
        torch.randn(1, 3, frames, size, size),
        torch.randn(1, 77, width),
    )
    level = torch.tensor([NOISE_LEVEL])
    return timed_call(network, lambda: network(z, 500, low_res=lr, encoder_hidden_states=text, noise_level=level))


def make_unet(name: str, size: str) -> Any:
    from limpid.convert.contents import CONTENTS
    from limpid.convert.random_weights import official_config
    from limpid.networks.by_name import make_official

    part = CONTENTS[name].networks[0]
    return make_official("unet", official_config(part, size), temporal=part.temporal)


def run_decode(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    network = prepared(lambda: make_vae(task["name"], task["size"]))
    frames, size = task["frames"], task["lr_px"]
    z, lr = torch.randn(frames, 4, size, size), torch.rand(frames, 3, size, size) * 2 - 1
    return timed_call(network, lambda: network.decode(z, num_frames=frames, lr=lr))


def make_vae(name: str, size: str) -> Any:
    import torch

    from limpid.convert.contents import DIFFVSR_VAE_PART, SD_X4_VAE_PART, UAV_VIDEO_VAE_PART
    from limpid.convert.random_weights import official_config
    from limpid.networks.autoencoder import LightVAE
    from limpid.networks.by_name import make_official

    if name == "light":
        with torch.device("meta"):
            return LightVAE()
    part = {"image": SD_X4_VAE_PART, "video": UAV_VIDEO_VAE_PART, "temporal": DIFFVSR_VAE_PART}[name]
    return make_official("vae", official_config(part, size))


def prepared(make: Callable[[], Any]) -> Any:
    """With small random numbers instead of none at all."""
    import torch

    from limpid.priors.load.offload import place_network
    from limpid.types import Placement

    network = make().to_empty(device="cpu")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return place_network(network, Placement(device=torch.device("cpu"), dtype=torch.float32))


def timed_call(network: Any, call: Callable[[], Any]) -> dict[str, Any]:
    """One call, and its peak over what lies in memory before; it takes so long that warming up does not count."""
    import torch
    from mgld_vsr_window import weight_bytes

    from limpid.plan.allocator import free_memory

    free_memory()
    base = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    clock = Clock()
    with torch.no_grad():
        call()
    call_s, peak = clock.lap(), memory("VmHWM")
    return {"call_s": call_s, "work": peak - base, "peak": peak, "weights": weight_bytes(network)}


def memory(name: str) -> int:
    """A value of ``/proc/self/status``: VmRSS is what is resident, VmHWM the most there ever was."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    import torch

    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    print(json.dumps({"side": run_side, "window": run_window, "decode": run_decode}[task["measure"]](task)))


if __name__ == "__main__":
    main()
