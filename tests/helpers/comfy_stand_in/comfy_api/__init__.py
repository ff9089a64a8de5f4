"""Stand-in of ComfyUI's ``comfy_api``, see README.md beside it."""
