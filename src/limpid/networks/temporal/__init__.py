"""Layers that let the frames of a window see each other, for networks that work on single pictures."""
