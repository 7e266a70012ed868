"""What training costs: the library under `ganspec bench`.

request       what is measured: a system with its settings, a backend, a device
fresh         a function called in a process of its own, with a number of threads
machine       what it was measured on
sides         our training and a plain loop's as functions that do one iteration
timing        both timed turn by turn
memory        the most memory that each holds
results       what was timed, in a JSON file and back
comparing     what was timed against an earlier such file
tape, flops   floating-point operations of a plan, counted product by product
rates         how fast the machine multiplies matrices
roofline      the two put together: which share of the machine's rate training reaches
data_path     images per second from files into batches
start_up      seconds up to the first iteration
sweep, plot   cost against batch, channels or resolution
tables        rows as text or as Markdown
"""
