"""Strategies that keep frames consistent beyond one window, each beside the pure functions it is made of."""
