"""A network of a few layers, evaluated in one backend: for tests of what layers compute."""

import importlib

import numpy as np

from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library
from ganspec.tools import backends


def evaluator(backend, folder):
    """Returns: a function that evaluates a network of the layers given as TOML, and what it leaves of its statistics."""

    def evaluate(layers, x, parameters=None, statistics=None, *, training=True, fade=0.0, inputs=None, others=()):
        inputs = inputs or f"x = {list(x.shape[1:])}"
        (folder / "net.toml").write_text(
            f'title = "t"\nsource = "none"\n[inputs]\n{inputs}\n[network]\nlayers = [ {layers} ]\n'
        )
        problems, library = Problems(), Library(folder)
        network = read_architecture(library.find("architectures", "net.toml", "", ""), library, {}, problems)
        problems.stop_if_any()
        backends.load(backend)  # which mends Chainer before anything imports it
        module, arrays, kinds = (
            importlib.import_module(f"ganspec.impl_{backend}.{n}") for n in ("network", "arrays", "mode")
        )
        context = arrays.ArrayContext("cpu", "float64")
        dtype = context.array(np.zeros(1)).dtype  # PyTorch and NumPy have names of their own for it
        placed = {path: context.array(a) for path, a in (parameters or {}).items()}
        kept = {path: context.array(a) for path, a in (statistics or {}).items()}
        mode = kinds.Mode(training, None, (1.0 - fade, fade), dtype)
        (out,) = module.evaluate(network, placed, kept, [context.array(v) for v in (x, *others)], mode).values()
        return arrays.to_numpy(out), {path: arrays.to_numpy(a) for path, a in kept.items()}

    return evaluate
