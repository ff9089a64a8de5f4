"""Guidance: several calls of a denoiser combined into one prediction."""
