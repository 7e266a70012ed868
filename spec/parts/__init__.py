"""The parts of a system besides networks: losses, schedules, optimisers, and the settings of data and training."""
