"""Programs over the spec and its two implementations, and the library under them.

programs     one module for each sub-command of `ganspec`, and the options that they share
run          one training run: loop, folder, record, lock, log, progress, rehearsal, batches
agreement    what a backend computes, kept and compared
pictures     images, grids, plots and animations as bytes
sampling     what G is given for samples, interpolations and manifolds
data         data sets as arrays, and where to get them
baselines    hand-written loops that `ganspec bench` compares with
"""
