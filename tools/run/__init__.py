"""One training run: its loop, folder, log, progress, batches, and the album of its pictures."""
