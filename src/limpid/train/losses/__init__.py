"""Losses as pure functions: every one gives one number per clip, so that a clip counts the same in any batch."""
