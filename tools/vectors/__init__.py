"""Golden vectors: what an implementation must compute, as data.

case            one vector: what is given, what is expected, how far an answer may be from it
layers, functions, optimizers, systems      the cases of each kind; training, expressions: what cases of training share
autodiff        gradients in either backend
making          all cases, computed by both backends and the reference
descriptions    every number of the data files
files, schema   writing and reading
linting         is everything covered, and is it up to date?
checking        somebody's implementation against the vectors
"""

from ganspec.tools.vectors.checking import Outcome, check, load_module
from ganspec.tools.vectors.files import PACKAGED, read_vectors, write_vectors
from ganspec.tools.vectors.making import Vector, make_all

__all__ = ["PACKAGED", "Outcome", "Vector", "check", "load_module", "make_all", "read_vectors", "write_vectors"]
