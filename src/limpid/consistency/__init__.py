"""How frames are kept consistent beyond one window: strategies, each beside the pure functions it is made of."""
