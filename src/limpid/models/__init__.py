"""Whole models: made from other people's files or at random, put on the device, described by captions."""
