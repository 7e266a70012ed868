"""Each mend is needed and sufficient: its probe fails without it and succeeds with it."""

import os
from importlib.util import find_spec

import pytest

from ganspec.impl_chainer.compat import TABLE
from ganspec.impl_chainer.compat.hook import mended
from ganspec.impl_chainer.compat.mend import Mend, Table
from support.compat import probes
from support.compat.upstream import upstream

pytestmark = pytest.mark.skipif(find_spec("chainer") is None, reason="needs chainer")


def failures(done):
    """Returns: for each mend that was left out, or "nothing", the names of the probes that failed; and what they said."""
    lines = [line.split(" left out, failed:") for line in done.stdout.splitlines()]
    return {without: set(names.split()) for without, names in lines}, done.stderr


@pytest.fixture(scope="module")
def without_one(python):
    return failures(python("-m", probes.__name__, timeout=600))


@pytest.fixture(scope="module")
def with_all(python):
    return failures(python("-m", probes.__name__, "--all"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("name", sorted(probes.PROBES))
def test_mend_is_needed(name, without_one):
    if why := probes.skipped(name):
        pytest.skip(why)
    found, said = without_one
    assert found[name] == {name}, said


@pytest.mark.parametrize("name", sorted(probes.PROBES))
def test_mend_is_sufficient(name, with_all):
    if why := probes.skipped(name):
        pytest.skip(why)
    found, said = with_all
    assert name not in found["nothing"], said


def test_every_mend_has_a_probe_or_a_reason():
    assert probes.PROBES.keys() | probes.ELSEWHERE.keys() == TABLE.names
    assert not probes.PROBES.keys() & probes.ELSEWHERE.keys()


@pytest.mark.parametrize("module", sorted(TABLE.modules))
def test_mends_fit_the_upstream_source(module):
    source = upstream(module)
    mends = [mend for mend in TABLE.mends if mend.module == module]
    code = mended(source, mends)
    assert code != source
    compile(code, module, "exec")
    if not any(mend.rewrite for mend in mends):
        assert code.count("\n") == source.count("\n")


def test_half_kernels_include_their_header():
    for module, count in (
        ("chainer.training.updaters.multiprocess_parallel_updater", 2),
        ("chainermn.communicators._memory_utility", 2),
    ):
        code = mended(upstream(module), [mend for mend in TABLE.mends if mend.module == module])
        assert code.count("#include <cupy/float16.cuh>") == count


def test_other_source_is_refused_with_the_reason():
    table = Table()
    table.declare("m", "chainer.x", ("old", "new"), broken_by="b", why="w", needed=lambda: True)
    with pytest.raises(ImportError) as error:
        mended("something else", table.mends)
    assert str(error.value) == (
        "ganspec.impl_chainer.compat cannot apply its mend 'm' to chainer.x: it expects 'old' 1 time(s) in the source and "
        "finds it 0 time(s). The mends are written for chainer==7.8.1; install that version."
    )
    with pytest.raises(ImportError, match=r"finds it 2 time\(s\)"):
        mended("old old", table.mends)
    assert mended("it is new", table.mends) == "it is new"


def test_table_refuses_a_mend_that_it_cannot_keep():
    table = Table()
    about = {"broken_by": "b", "why": "w", "needed": lambda: True}
    table.declare("m", "chainer.x", ("old", "new"), **about)
    assert isinstance(table.mends[0], Mend)
    with pytest.raises(ValueError, match="two mends are called 'm'"):
        table.declare("m", "chainer.x", ("old", "new"), **about)
    with pytest.raises(ValueError, match="changes nothing"):
        table.declare("n", "chainer.x", **about)
    with pytest.raises(ValueError, match="changes the number of lines"):
        table.declare("n", "chainer.x", ("old\n", "new"), **about)
