"""Tables and figures of Yang et al., Motion-Guided Latent Diffusion (MGLD-VSR), ECCV 2024."""

from __future__ import annotations

from limpid.bench.papers.kinds import Paper, PaperPart, PaperRow, figure, settings_rows, trained
from limpid.bench.papers.others import compared

_METHOD = "mgld-vsr"
_LQ = "the low-quality frames of REDS4, UDM10 and SPMCS, and the seed of their degradation"
_COMPARE = "limpid compare RUN/out/*/CLIP.mkv --lr RUN/lr/CLIP --out page.html"
_PICTURES = f"limpid bench paper {_METHOD} 1 --dataset NAME ..., then {_COMPARE}"
_FULL = "motion guidance, temporal decoder"
_COMPARED = compared(
    "Bicubic", "RVRT", "BSRGAN", "Real-ESRGAN", "StableSR", "DBVSR", "RealVSR", "RealBasicVSR", "MGLD-VSR"
)
_OWN = "the decoder is trained on your own clips, not on the authors'"


def _loss(label: str, published: str, recipe: str) -> PaperRow:
    return trained(label, published, _METHOD, f"mgld-vsr/vae-{recipe}", _OWN)


MGLD_VSR_PAPER = Paper(
    name=_METHOD,
    title="MGLD-VSR",
    trained_on=("REDS",),
    training=(("mgld-vsr/unet", "sd-2-1-base"), ("mgld-vsr/vae", "mgld-vsr/unet")),
    parts=(
        PaperPart(
            name="1",
            title="comparison on synthetic and real video",
            rows=_COMPARED,
            datasets=("reds4", "udm10", "spmcs", "videolq"),
            missing=_LQ,
        ),
        PaperPart(
            name="2",
            title="warping error (WE) of the same methods",
            rows=_COMPARED,
            datasets=("reds4", "udm10", "spmcs", "videolq"),
            missing=f"{_LQ}; the unit of WE",
            note="a blurred result wins it, as the paper says",
        ),
        PaperPart(
            name="3",
            title="motion-guided sampling (MDS) and the sequence decoder (TSD) on VideoLQ",
            rows=settings_rows(
                _METHOD,
                {
                    "no motion guidance, image decoder": "MGLD baseline (no MDS, no TSD)",
                    "motion guidance, image decoder": "MGLD MDS",
                    "no motion guidance, temporal decoder": "MGLD TSD",
                    _FULL: "MGLD MDS+TSD (full)",
                },
            ),
            datasets=("videolq",),
            note="the row with MDS only is not row (a) of Table 5 in the paper, though both are without TSD; ours are "
            "Stable Diffusion's decoder in both",
        ),
        PaperPart(
            name="4",
            title="the flow network of motion-guided sampling, on VideoLQ",
            rows=settings_rows(_METHOD, {"flow by SpyNet": "MGLD flow=SpyNet", "flow by RAFT": "MGLD flow=RAFT"}),
            datasets=("videolq",),
        ),
        PaperPart(
            name="5",
            title="layers over time (TM) and CFW in the decoder, and its losses over time, on VideoLQ",
            rows=(
                *settings_rows(_METHOD, {"motion guidance, image decoder": "MGLD dec (a) no TM, no CFW"}),
                _loss("decoder (b): CFW", "MGLD dec (b) CFW", "cfw"),
                _loss("decoder (c): TM", "MGLD dec (c) TM", "temporal"),
                *settings_rows(_METHOD, {_FULL: "MGLD dec (d) TM+CFW"}, {_FULL: "also (d) on the right of the table"}),
                _loss("losses (a): neither", "MGLD loss (a) none", "without-sequence-losses"),
                _loss("losses (b): L_swc", "MGLD loss (b) L_swc", "without-difference"),
                _loss("losses (c): L_diff", "MGLD loss (c) L_diff", "without-consistency"),
            ),
            datasets=("videolq",),
            note=f"rows with weights of a recipe and those with the authors' do not compare well; for all from one "
            f"hand, train mgld-vsr/vae too and name it with --weights: {_OWN}",
        ),
        PaperPart(
            name="6",
            title="parameters and time, 128x128 to 512x512 on an A100",
            command="limpid bench run --dataset folder --root DIR --pipeline given --methods mgld-vsr --out RUN "
            "(clips of 128x128, 100 frames); limpid train --recipe mgld-vsr/unet --dry-run counts parameters",
            missing="an A100 is needed to compare",
        ),
        figure(1, "four frames of VideoLQ 026", _PICTURES),
        figure(2, "the method, drawn", note="nothing to compute; docs/mgld-vsr.md"),
        figure(3, "pictures of REDS4, UDM10 and SPMCS", _PICTURES, "which frames and crops are shown"),
        figure(4, "pictures of VideoLQ (008 and 013 among them)", _PICTURES, "which frames and crops are shown"),
        figure(5, "temporal profiles", f"{_PICTURES} --profile row", "the clips and rows: they are not named"),
        figure(6, "user study: 20 videos of VideoLQ, 10 people", missing="the people, and which videos they saw"),
        PaperPart(
            name="fig7",
            title="the strength of motion guidance, eta",
            rows=settings_rows(
                _METHOD,
                {
                    "no motion guidance, temporal decoder": "",
                    "eta 1": "",
                    "eta 3": "",
                    _FULL: "",
                    "eta 30": "",
                    "eta 100": "",
                },
                {"no motion guidance, temporal decoder": "eta 0", _FULL: "eta 10"},
            ),
            datasets=("videolq",),
            metrics=("we-lr", "m2-coherent", "m3-coherence", "niqe", "musiq", "dover"),
            missing="the clip and the values shown; docs/motion-guidance.md has curves of our own",
        ),
        figure(8, "pictures of SPMCS", _PICTURES, "which frames and crops are shown"),
        figure(9, "pictures of REDS4 and UDM10", _PICTURES, "which frames and crops are shown"),
        figure(10, "pictures of VideoLQ (033 and 038 among them)", _PICTURES, "which frames and crops are shown"),
        figure(11, "pictures of VideoLQ (041 and 049 among them)", _PICTURES, "which frames and crops are shown"),
        *(
            figure(number, f"frames in a row of VideoLQ {clip}", _PICTURES, "which frames and crops are shown")
            for number, clip in ((12, "026"), (13, "033"), (14, "035"), (15, "042"))
        ),
    ),
)
