"""Where the probes of all mends are kept."""

from importlib import util

PROBES = {}
# A mend whose effect needs more than a probe; that it fits the upstream source is tested for every mend.
ELSEWHERE = {
    "multiprocess_iterator-child": "test_children shows it with a real child",
    "parallel_updater-child": "test_children shows it by its pickle",
}
NEEDS = {}


def probe(name, needs=None):
    """Register the probe of the mend ``name``, and the module that it cannot do without."""

    def register(function):
        assert name not in PROBES
        PROBES[name] = function
        if needs:
            NEEDS[name] = needs
        return function

    return register


def skipped(name):
    """Why the probe cannot be run here; None where it can."""
    from ganspec.impl_chainer.compat import TABLE

    if not all(mend.needed() for mend in TABLE.mends if mend.name == name):
        return "the versions here do not need this mend"
    if name in NEEDS and util.find_spec(NEEDS[name]) is None:
        return f"needs {NEEDS[name]}"
    return None
