"""Everything that needs a CUDA device, in one go: `tools/gpu` runs it, and leaves one JSON file and one page.

checks   the same bits, or not: rounding, draws, captured iterations, resumed runs
timing   how fast: captured and eager iterations, choices, and the plain loop of the same system
part     one of these in a process of its own, which writes what it found to a file
parts    what is run, and how long each part may take
running  runs parts in processes, which may crash or hang without stopping the others
page     the page
"""
