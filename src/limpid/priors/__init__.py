"""Denoisers and how they get from frames to latents and back."""
