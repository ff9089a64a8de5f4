"""Frames to frames: the one loop, prediction piece by piece, finished pictures. No files and no journal."""
