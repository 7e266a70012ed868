"""What tests share: systems, oracles, breakers, writers of data."""
