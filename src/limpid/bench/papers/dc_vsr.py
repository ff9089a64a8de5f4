"""Tables and figures of Han et al., DC-VSR, 2025."""

from __future__ import annotations

from limpid.bench.papers.kinds import Paper, PaperPart, figure, settings_rows
from limpid.bench.papers.others import compared

_METHOD = "dc-vsr"
_LQ = "the low-quality frames of REDS4 and UDM10, and the seed of their degradation"
_CROPS = "which frames and crops are shown"
_COMPARE = "limpid compare RUN/out/*/CLIP.mkv --lr RUN/lr/CLIP --out page.html"
_PICTURES = f"limpid bench paper {_METHOD} 1 --dataset NAME ..., then {_COMPARE}"
_ROWS = f"limpid bench paper {_METHOD} 2 --dataset NAME ..., then {_COMPARE}"
_GUIDANCE = "limpid bench guidance --model DIR --captions captions_val2014.json --reference val2014 --out RUN"

DC_VSR_PAPER = Paper(
    name=_METHOD,
    title="DC-VSR",
    trained_on=("REDS",),
    training=(("dc-vsr/unet", "svd"),),
    parts=(
        PaperPart(
            name="1",
            title="comparison on synthetic and real video",
            rows=compared(
                "Bicubic",
                "SwinIR",
                "Real-ESRGAN",
                "StableSR",
                "RealBasicVSR",
                "RealViformer",
                "Upscale-A-Video",
                "MGLD-VSR",
                "DC-VSR",
            ),
            datasets=("reds4", "udm10", "videolq"),
            missing=_LQ,
        ),
        PaperPart(
            name="2",
            title="attention propagation (SAP, TAP) and guidance by attention on REDS4",
            rows=settings_rows(
                _METHOD,
                {
                    "none": "DC-VSR no SAP,TAP,DSSAG",
                    "SAP": "DC-VSR SAP",
                    "TAP": "DC-VSR TAP",
                    "SAP, TAP, DSSAG": "DC-VSR SAP+TAP+DSSAG",
                    "SAP, TAP, SAG": "DC-VSR SAP+TAP+SAG",
                    "SAP, TAP, PAG": "DC-VSR SAP+TAP+PAG",
                },
                {"none": "classifier-free guidance only, as in the next two rows"},
            ),
            datasets=("reds4",),
            missing=f"{_LQ}; the scales of guidance and the rate of SAP, which the paper does not give",
        ),
        PaperPart(
            name="3",
            title="guidance by attention for text to image: SAG, PAG, DSSAG",
            command=_GUIDANCE,
            missing="which 10,000 captions of MS-COCO 2014 (validation), the seeds and the scales",
            note="Stable Diffusion 1.4 (CreativeML Open RAIL-M), captions and pictures of MS-COCO 2014 (captions CC BY "
            "4.0, pictures by their owners on Flickr)",
        ),
        figure(1, "real video", _PICTURES, _CROPS),
        figure(2, "the method, drawn", note="nothing to compute; docs/dc-vsr.md"),
        figure(
            3,
            "what the call with suppressed details predicts in step 16 of 25",
            missing="the clip; predictions of single steps are not written out",
            note="`limpid.guidance.dssag` is where it is computed",
        ),
        figure(4, "with and without TAP", _ROWS, _CROPS),
        figure(5, "with and without SAP", _ROWS, _CROPS),
        figure(6, "DSSAG beside SAG and PAG", _ROWS, _CROPS),
        figure(7, "consistency in space", _PICTURES, _CROPS),
        figure(8, "consistency in time", _PICTURES, _CROPS),
        figure(9, "pictures of VideoLQ (008, 020 and 049 among them)", _PICTURES, _CROPS),
        figure(
            10,
            "frames for TAP chosen at random and by the spread of their keys",
            missing="random choice is not an option here: the paper's own way is the only one",
        ),
        PaperPart(
            name="fig11",
            title="with and without DSSAG",
            rows=settings_rows(_METHOD, {"SAP, TAP": "", "SAP, TAP, DSSAG": ""}),
            datasets=("reds4", "videolq"),
            metrics=("musiq", "dover", "niqe", "m2-coherent", "m3-coherence"),
            missing=_CROPS,
        ),
        figure(12, "pictures from texts with SAG, PAG and DSSAG", _GUIDANCE, "texts and seeds"),
    ),
)
