"""Fuzzing: whole valid systems are drawn at random, and every witness must compute the same numbers for each.

    writing      a system's files, as data and as TOML
    kinds        draws the keys of one layer
    networks     draws architectures: graphs of layers
    formulas     draws losses: formulas that type-check
    systems      draws what else a system has: schedules, draws, optimisers, growth
    neighbours   changes one token of a system
    judging      what the witnesses say of a drawn system
    search       draws, judges and shrinks

The strategies are hypothesis', so that what fails shrinks to a small system. hypothesis belongs to the extra "test".
"""
