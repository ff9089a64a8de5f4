"""Tables and figures of Zhou et al., Upscale-A-Video, CVPR 2024."""

from __future__ import annotations

from limpid.bench.papers.kinds import Paper, PaperPart, figure, settings_rows, trained
from limpid.bench.papers.others import compared

_METHOD = "upscale-a-video"
_LQ = "the low-quality frames of the paper's test sets, and the seed and strength of their degradation"
_CROPS = "which frames and crops are shown"
_COMPARE = "limpid compare RUN/out/*/CLIP.mkv --ref GT/CLIP --lr RUN/lr/CLIP --out page.html"
_PICTURES = f"limpid bench paper {_METHOD} 1 --dataset NAME ..., then {_COMPARE}"

UPSCALE_A_VIDEO_PAPER = Paper(
    name=_METHOD,
    title="Upscale-A-Video",
    trained_on=("WebVid", "YouHQ"),
    training=(("upscale-a-video/unet", "sd-x4-upscaler"), ("upscale-a-video/vae", "upscale-a-video/unet")),
    parts=(
        PaperPart(
            name="1",
            title="comparison on synthetic, real and generated video",
            rows=compared(
                "Real-ESRGAN",
                "SD x4 Upscaler",
                "ResShift",
                "StableSR",
                "RealVSR",
                "DBVSR",
                "RealBasicVSR",
                "Upscale-A-Video",
            ),
            datasets=("spmcs", "udm10", "reds30", "youhq40", "videolq"),
            missing=f"{_LQ}; AIGC30, which was never released; what its DOVER measures",
        ),
        PaperPart(
            name="2",
            title="decoder and propagation on YouHQ40; below them, what the decoder is told of the input",
            rows=(
                *settings_rows(
                    _METHOD,
                    {
                        "image decoder, no propagation": "UAV ablation a: no ft-VAE-dec, no latent prop",
                        "image decoder, propagation": "UAV ablation b: latent prop only",
                        "video decoder, no propagation": "UAV ablation c: ft-VAE-dec only",
                        "video decoder, propagation": "UAV ablation d: ft-VAE-dec + latent prop",
                        "video decoder without input, propagation": "",
                    },
                    {"video decoder without input, propagation": "not in the paper: the same weights, w_lr 0"},
                ),
                trained(
                    "video decoder trained without input, propagation",
                    "",
                    _METHOD,
                    "upscale-a-video/vae-without-input",
                    "not in the paper: its decoder without the SFT by the LR frames",
                    autoencoder="video",
                    consistency="propagation",
                ),
            ),
            datasets=("youhq40",),
            missing=_LQ,
        ),
        figure(1, "what it does, on real and generated video", missing="the clips: they are not named"),
        figure(2, "the method, drawn", note="nothing to compute; docs/architecture.md and docs/upscalers.md"),
        figure(3, "propagation, drawn", note="nothing to compute; `limpid.consistency.propagation`"),
        figure(4, "pictures of REDS30 and YouHQ40", _PICTURES, _CROPS),
        figure(5, "pictures of VideoLQ", _PICTURES, _CROPS),
        figure(
            6,
            "temporal profiles of the rows of Table 2 and of other methods",
            f"limpid bench paper {_METHOD} 2 ..., then {_COMPARE} --profile row",
            "the clip and the row: they are not named",
        ),
        PaperPart(
            name="fig7",
            title="text prompts and the noise on the input",
            rows=settings_rows(
                _METHOD,
                {
                    "video decoder, propagation": "",
                    "a text for each shot": "",
                    "noise 20": "",
                    "noise 60": "",
                    "noise 200": "",
                    "noise 300": "",
                },
                {
                    "video decoder, propagation": "no text, noise 120",
                    "a text for each shot": "LLaVA-1.5 in the paper; --set caption_model=NAME says which here",
                },
            ),
            datasets=("youhq40", "videolq"),
            metrics=("niqe", "musiq", "dover", "m2-coherent", "m3-coherence"),
            missing="the clips and the noise levels shown",
        ),
    ),
)
