"""What child processes unpickle first, so that they import ganspec.impl_chainer.compat before chainer.

A forked child has the mends. One that is spawned, or comes from a fork server, imports what its pickled
process object names, in the order in which it is pickled. For Chainer's own child processes that order
begins with a function of this module. For the user's own child processes it is enough that the main script
imports ganspec.impl_chainer.compat at its top, because children run it again; so do those of a program that
``python -m ganspec.impl_chainer.compat`` has started.
"""

import importlib


def fetch_setup(dataset, mem_size, mem_bulk):
    """Initialise a worker of ``MultiprocessIterator`` as upstream's ``_fetch_setup`` does."""
    iterator = importlib.import_module("chainer.iterators.multiprocess_iterator")
    iterator._fetch_setup(dataset, mem_size, mem_bulk)


def reduce_worker(worker):
    """Serve as ``__reduce__`` of ``MultiprocessParallelUpdater``'s process object; its pickle begins here."""
    return new_worker, (), worker.__dict__


def new_worker():
    """Return an empty ``_Worker``, for the pickle to fill."""
    updater = importlib.import_module("chainer.training.updaters.multiprocess_parallel_updater")
    return updater._Worker.__new__(updater._Worker)
