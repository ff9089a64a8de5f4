"""Benchmarks: data sets, runs that can be repeated, tables beside the published numbers, and comparisons."""
