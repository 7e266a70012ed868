"""Anybody's own implementation against a system: a whole training step, a network, a loss, an optimiser."""
