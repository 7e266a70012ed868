"""What a child process runs in place of the main program, under the name ``__mp_main__``; see ``program``.

It defines no names of its own, because the program then has this module's namespace.
"""

if __name__ == "__mp_main__":
    __import__("ganspec.impl_chainer.compat.program", fromlist=["program"]).run_in_child(globals())
