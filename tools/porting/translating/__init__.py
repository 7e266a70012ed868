"""His statements, rewritten to PyTorch: each site means what it was when it ran."""
