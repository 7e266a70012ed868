"""How good images are: FID and its like, by protocols that are recorded with each figure."""
