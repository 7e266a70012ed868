"""What a GAN is: the data files, and the little Python that reads, checks and plans them.

Imports neither framework. `load_system` reads a system; its `plan` is what a backend executes.
"""

from ganspec.spec.system import System, load_system, system_names
from ganspec.spec.text.errors import Problem, SpecError

__all__ = ["Problem", "SpecError", "System", "load_system", "system_names"]
