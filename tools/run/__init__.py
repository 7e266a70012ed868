"""One training run: its loop, folder, record, lock, log, progress, batches, and the album of its pictures."""
