"""Latents to look at: what G is given for samples, interpolations and manifolds. They disturb no training."""
