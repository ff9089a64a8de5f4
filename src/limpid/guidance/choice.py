"""The guidance that a user names."""

from __future__ import annotations

from limpid.choices import GuidanceName
from limpid.guidance.classifier_free import ClassifierFree
from limpid.guidance.dssag import DetailSuppression
from limpid.guidance.pag import PerturbedAttention
from limpid.guidance.sag import SelfAttentionGuidance
from limpid.method import Guidance
from limpid.settings import Settings
from limpid.types import SettingsError


def choose_guidance(
    name: GuidanceName, scale: float | None, *, default_scale: float, classifier_free: bool = True
) -> Guidance | None:
    """The guidance called ``name`` with weight w, ``scale`` if the user chose one.

    Args:
        classifier_free: whether the method can be told less than it is (no prompt). If not, the self-attention
            guidances stand alone (DC-VSR Eq. 5, 6 and 8).

    Raises:
        SettingsError: a scale without guidance, or ``cfg`` where there is nothing to leave out.
    """
    Settings.refuse(guidance=name, guidance_scale=scale)
    if name == "none":
        return None
    weight = default_scale if scale is None else scale
    if name == "cfg":
        if not classifier_free:
            raise SettingsError("guidance cfg has no effect here, because the method is told no text; choose dssag")
        return ClassifierFree(scale=weight)
    makers = {"dssag": DetailSuppression, "sag": SelfAttentionGuidance, "pag": PerturbedAttention}
    made: Guidance = makers[name](scale=weight, classifier_free=classifier_free)
    return made


def choose_text_guidance(
    name: GuidanceName | None, scale: float | None, *, default_scale: float, told: bool, own: GuidanceName = "cfg"
) -> Guidance | None:
    """`choose_guidance` for a method that is told texts, ``own`` being its own.

    ``told``: whether any text differs from the negative one. Where none does there is nothing to drive away from: no
    guidance, at half the time. Raises SettingsError where it is asked for all the same.
    """
    chosen = name or (own if told or scale is not None else "none")
    if chosen == "cfg" and not told:
        raise SettingsError("guidance cfg has no effect where prompt and negative prompt are the same; give a prompt")
    return choose_guidance(chosen, scale, default_scale=default_scale, classifier_free=told)


def most_calls(guidance: Guidance | None) -> int:
    """Network calls that are made of one tile, at most: one without guidance."""
    return 1 if guidance is None else guidance.calls


def changes_attention(guidance: Guidance | None) -> bool:
    """Whether attention layers are exchanged from call to call: never without guidance."""
    return guidance is not None and guidance.changes_attention
