"""Methods of the papers' tables that Limpid does not have: where they are, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass

from limpid.bench.papers.kinds import PaperRow


@dataclass(frozen=True, kw_only=True)
class Other:
    """A program of other people. Its results on ``RUN/lr`` can be measured with ``limpid compare --metrics``."""

    where: str
    licence: str


_S_LAB = "S-Lab License 1.0: no commercial use"
_APACHE = "Apache-2.0"
_UNKNOWN = "not checked by us; see there"

OTHERS = {
    "Real-ESRGAN": Other(where="github.com/xinntao/Real-ESRGAN", licence="BSD-3-Clause"),
    "BSRGAN": Other(where="github.com/cszn/BSRGAN", licence=_UNKNOWN),
    "SwinIR": Other(where="github.com/JingyunLiang/SwinIR", licence=_UNKNOWN),
    "ResShift": Other(where="github.com/zsyOAOA/ResShift", licence=_UNKNOWN),
    "StableSR": Other(where="github.com/IceClear/StableSR", licence=_S_LAB),
    "DiffBIR": Other(where="github.com/XPixelGroup/DiffBIR", licence=_APACHE),
    "RealVSR": Other(where="github.com/IanYeung/RealVSR", licence=_APACHE),
    "DBVSR": Other(where="github.com/cscss/DBVSR", licence=_UNKNOWN),
    "RVRT": Other(where="github.com/JingyunLiang/RVRT", licence=_UNKNOWN),
    "RealBasicVSR": Other(where="github.com/ckkelvinchan/RealBasicVSR", licence=_APACHE),
    "RealViformer": Other(where="github.com/Yuehan717/RealViformer", licence=_UNKNOWN),
    "VEnhancer": Other(where="github.com/Vchitect/VEnhancer", licence=_UNKNOWN),
}
"""Published name -> where it is."""

OURS = {
    "Bicubic": "bicubic",
    "SD x4 Upscaler": "sd-x4-upscaler",
    "Upscale-A-Video": "upscale-a-video",
    "MGLD-VSR": "mgld-vsr",
    "DiffVSR": "diffvsr",
    "DC-VSR": "dc-vsr",
}
"""Published name -> what runs it here."""


def compared(*names: str) -> tuple[PaperRow, ...]:
    """Rows of a comparison, by their published names."""
    return tuple(
        PaperRow(label=name, published=name, method=OURS[name])
        if name in OURS
        else PaperRow(label=name, published=name, other=name)
        for name in names
    )
