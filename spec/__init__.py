"""What a GAN is: the data files, and the little Python that reads, checks and plans them.

This package imports neither framework. `load_system` reads a system; a backend executes the system's `plan`.
"""

from ganspec.spec.system import System, load_system
from ganspec.spec.text.errors import Problem, SpecError
from ganspec.spec.text.files import system_names

__all__ = ["Problem", "SpecError", "System", "load_system", "system_names"]
