"""What a GAN is: the data files, and the little Python that reads, checks and plans them.

Imports neither framework. `load_system` reads a system; its `plan` is what a backend executes.
"""

from spec.errors import Problem, SpecError
from spec.system import System, load_system, system_names

__all__ = ["Problem", "SpecError", "System", "load_system", "system_names"]
