"""Stand-in of ComfyUI's ``comfy``, see README.md beside it."""
