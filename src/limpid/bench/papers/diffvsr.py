"""Tables and figures of Li et al., DiffVSR, 2025 (the first version on arXiv)."""

from __future__ import annotations

from limpid.bench.papers.kinds import Paper, PaperPart, PaperRow, figure, settings_rows, trained
from limpid.bench.papers.others import compared
from limpid.bench.worker import RECONSTRUCT

_METHOD = "diffvsr"
_LQ = "the low-quality frames of the synthetic sets, and what its two degradations of YouHQ40 are"
_TEN = "which 10 clips of YouHQ40 are YouHQ10, and their low-quality frames"
_CROPS = "which frames and crops are shown"
_COMPARE = "limpid compare RUN/out/*/CLIP.mkv --ref GT/CLIP --lr RUN/lr/CLIP --out page.html"
_PICTURES = f"limpid bench paper {_METHOD} 1 --dataset NAME ..., then {_COMPARE}"
_FULL = "noise+transition"
_COMPARED = compared(
    "Real-ESRGAN", "SD x4 Upscaler", "DiffBIR", "RealBasicVSR", "MGLD-VSR", "VEnhancer", "Upscale-A-Video", "DiffVSR"
)
_OWN = (
    "rows with weights of a recipe and those with the authors' do not compare well; for all from one hand, train "
    "diffvsr/vae and then diffvsr/unet too, and name that with --weights"
)


def _decoder(label: str, published: str, recipe: str) -> PaperRow:
    return trained(label, published, RECONSTRUCT, recipe)


DIFFVSR_PAPER = Paper(
    name=_METHOD,
    title="DiffVSR",
    trained_on=("WebVid", "OpenVid", "YouHQ"),
    training=(("diffvsr/vae", "sd-x4-upscaler"), ("diffvsr/unet", "diffvsr/vae")),
    parts=(
        PaperPart(
            name="1",
            title="comparison on synthetic and real video",
            rows=_COMPARED,
            datasets=("reds4", "spmcs", "udm10", "youhq40", "mvsr4x"),
            missing=f"{_LQ}; RealVideo10, which was never released",
        ),
        PaperPart(
            name="2",
            title="consistency over time on SPMCS and RealVideo10",
            rows=compared("DiffBIR", "RealBasicVSR", "MGLD-VSR", "Upscale-A-Video", "DiffVSR"),
            datasets=("spmcs",),
            missing=f"{_LQ}; RealVideo10, which was never released",
        ),
        PaperPart(
            name="3",
            title="multi-scale attention (MSTA), progressive learning (PLS) and latent transition (ILT)",
            rows=(
                trained("(a) MSTA", "DiffVSR (a) MSTA", _METHOD, "diffvsr/unet-direct", consistency="none"),
                *settings_rows(
                    _METHOD,
                    {"none": "DiffVSR (b) MSTA+PLS", _FULL: "DiffVSR (c) MSTA+PLS+ILT"},
                    {"none": "ILT and the noise that goes with it are off"},
                ),
                trained("PLS and ILT, no MSTA", "", _METHOD, "diffvsr/unet-without-msta", "not in the paper"),
            ),
            datasets=("youhq40",),
            missing=_TEN,
            note=_OWN,
        ),
        PaperPart(
            name="4",
            title="decoders: 2DVAE, 3DVAE and TE-3DVAE, from the latents of the true frames",
            rows=(
                _decoder("2DVAE", "VAE 2DVAE", "diffvsr/vae-2d"),
                _decoder("3DVAE", "VAE 3DVAE", "diffvsr/vae-3d"),
                _decoder("TE-3DVAE", "VAE TE-3DVAE", "diffvsr/vae"),
                PaperRow(
                    label="TE-3DVAE of the authors",
                    method=RECONSTRUCT,
                    changes={"weights": _METHOD},
                    note="not in the paper as a row of its own",
                ),
            ),
            datasets=("youhq40",),
            missing="VAE-VAL5, which was never released; any clips with ground truth stand in",
        ),
        PaperPart(
            name="5",
            title="direct, two-stage and three-stage (progressive) learning",
            rows=(
                trained("(1) direct", "DiffVSR (1) direct learning", _METHOD, "diffvsr/unet-direct"),
                trained("(2) two stages", "DiffVSR (2) 2-stage", _METHOD, "diffvsr/unet-two-stage"),
                *settings_rows(_METHOD, {_FULL: "DiffVSR (3) progressive"}, {_FULL: "three stages"}),
            ),
            datasets=("youhq40",),
            missing=f"{_TEN}; how many iterations each strategy had: here all have as many in all",
            note=f"(1) is not (a) of Table 3, whose numbers differ: we read (a) as (1) without ILT; {_OWN}",
        ),
        PaperPart(
            name="6",
            title="comparison on VideoLQ",
            rows=_COMPARED,
            datasets=("videolq",),
        ),
        figure(1, "what it does", missing="the clips: they are not named"),
        figure(2, "the method, drawn", note="nothing to compute; docs/upscalers.md"),
        figure(3, "noise rescheduling and ILT, drawn", note="nothing to compute; `limpid.consistency.transition`"),
        figure(4, "pictures of YouHQ40 and UDM10", _PICTURES, _CROPS),
        figure(5, "pictures of MVSR4x and RealVideo10", _PICTURES, f"{_CROPS}; RealVideo10"),
        figure(
            6, "temporal profiles on a clip of RealVideo10", f"{_PICTURES} --profile row", "RealVideo10, never released"
        ),
        figure(7, "user study: 20 clips, 20 people", missing="the people, and which clips they saw"),
        figure(8, "the three ways of learning, drawn", note="limpid train recipes lists them; Table 5 measures them"),
        PaperPart(
            name="fig9",
            title="with and without text prompts",
            rows=settings_rows(
                _METHOD,
                {_FULL: "", "a text for each shot": ""},
                {
                    _FULL: "no text",
                    "a text for each shot": "InternLM-XComposer2 in the paper, which needs remote code and is not "
                    "supported; --set caption_model=NAME is another",
                },
            ),
            datasets=("youhq40", "videolq"),
            metrics=("niqe", "musiq", "dover", "m2-coherent", "m3-coherence"),
            missing="the clips and the texts",
        ),
        PaperPart(
            name="fig10",
            title="quality (MUSIQ) against warping error on YouHQ40",
            rows=_COMPARED,
            datasets=("youhq40",),
            metrics=("musiq", "ewarp"),
            missing=_LQ,
        ),
        figure(11, "pictures of real video", _PICTURES, f"{_CROPS}, and the clips"),
        figure(12, "pictures of the synthetic sets", _PICTURES, f"{_CROPS}, and the clips"),
    ),
)
