"""A GAN written once, as data; run in PyTorch and in Chainer; proved to be the same in both.

    ganspec.spec           what a GAN is: reads, checks and plans systems; imports neither framework
    ganspec.impl_torch     PyTorch, interpreting the spec
    ganspec.impl_chainer   Chainer, interpreting the spec; `ganspec.impl_chainer.compat` runs old Chainer code
    ganspec.tools          the programs (`ganspec --help`) and the library under them

Nothing is imported before it is asked for.
"""

__version__ = "0.1.0"
