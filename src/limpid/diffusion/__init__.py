"""Schedules, samplers, parametrisations and noise: pure functions and frozen values."""
