"""The two kinds of geometry: halo and crop (local), overlap and blend (blended)."""
