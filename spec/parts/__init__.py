"""What a system is made of besides networks: losses, schedules, optimisers, and the settings of data and training."""
