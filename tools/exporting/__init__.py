"""Trained networks as files for programs that do not know ganspec."""
