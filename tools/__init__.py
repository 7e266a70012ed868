"""Programs over the spec and its two implementations: train, crosscheck, port, bench, show."""
