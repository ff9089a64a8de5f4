"""Limpid in ComfyUI: nodes that upscale videos and images. ComfyUI loads this folder and calls `comfy_entrypoint`."""

from .nodes import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
