"""Cutting a canvas into tiles and windows, and putting it together again: `plan` needs no torch, `blend` does."""
