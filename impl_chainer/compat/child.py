"""What child processes unpickle first, so that they import ganspec.impl_chainer.compat before chainer.

A forked child has the mends. One that is spawned, or comes from a fork server, imports what its pickled
process object names, in the order in which it is pickled. For Chainer's own child processes that order
begins with a function of this module. In a process object of the user's own, put a function or class of
a module that imports ganspec.impl_chainer.compat first; a main script that does so at its top is enough, because
children run it again.
"""

import importlib


def fetch_setup(dataset, mem_size, mem_bulk):
    """Initialise a worker of ``MultiprocessIterator`` as upstream's ``_fetch_setup`` does."""
    iterator = importlib.import_module("chainer.iterators.multiprocess_iterator")
    iterator._fetch_setup(dataset, mem_size, mem_bulk)


def reduce_worker(worker):
    """The ``__reduce__`` of ``MultiprocessParallelUpdater``'s process object; the pickle starts here."""
    return new_worker, (), worker.__dict__


def new_worker():
    """Return an empty ``_Worker``, for the pickle to fill."""
    updater = importlib.import_module("chainer.training.updaters.multiprocess_parallel_updater")
    return updater._Worker.__new__(updater._Worker)
