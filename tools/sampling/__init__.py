"""What G is given for samples, interpolations and manifolds. None of it disturbs training."""
