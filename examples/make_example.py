"""Make ``examples/example.mp4``: 3.5 s of 320x180 footage with sound, filmed off photos, degraded like real footage.

    pip install scikit-image && python examples/make_example.py

The photos come with scikit-image: "coffee" (CC0, Rachel Michetti) and "astronaut" (public domain,
NASA). The sound is made here.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from skimage import data

from limpid.degrade import CameraPath, Degradation, degrade, photo_clip

FPS, RATE = 24, 48000
SHOTS = [
    (data.coffee, 44, CameraPath(center=(285, 200), velocity=(0.9, 0.3), zoom=1.2, zoom_rate=1.002, shake=0.25)),
    (data.astronaut, 40, CameraPath(center=(256, 170), velocity=(-0.4, 0.7), zoom=1.3, turn_rate=0.0015, shake=0.25)),
]


def pictures() -> np.ndarray:
    """LR frames before the codec, uint8 ``t 180 320 3``."""
    how = Degradation(blur_sigma=1.0, scale=2, noise_sigma=3.0, crf=None)
    shots = [
        photo_clip(np.ascontiguousarray(photo()), path, num_frames=count, width=640, height=360, seed=seed)
        for seed, (photo, count, path) in enumerate(SHOTS)
    ]
    return np.concatenate([degrade(shot, how, seed=seed) for seed, shot in enumerate(shots)])


def sound(seconds: float) -> np.ndarray:
    """A quiet chord that moves from left to right, float32 ``2 n``."""
    t = np.arange(int(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.18, 329.63)) / 3
    pan = t / seconds
    return (0.2 * chord * np.stack([np.cos(pan * np.pi / 2), np.sin(pan * np.pi / 2)])).astype(np.float32)


def main() -> None:
    frames = pictures()
    with av.open(str(Path(__file__).with_name("example.mp4")), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "26", "preset": "medium", "threads": "1"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="stereo", bit_rate=96000)
        out.metadata["title"] = "Limpid example"
        for pixels in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(sound(len(frames) / FPS), format="fltp", layout="stereo")
        samples.sample_rate = RATE
        out.mux(audio.encode(samples))
        out.mux(audio.encode(None))


if __name__ == "__main__":
    main()
