"""Any report, for properties that hold for all of them: names from strangers, numbers that are not finite, nothing compared."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Report, Row

HOSTILE = '"><script>alert(1)</script></style></title><img src=https://example.com/x onerror=1>\x1b[2J\x00\u202e\ud800'
names = st.sampled_from([HOSTILE, "began_mnist", "torch", "a/b", "", "  ", "D(x)'s\nline"]) | st.text(
    st.characters(exclude_categories=()), max_size=5
)
counts = st.none() | st.integers(0, 3)
norms = st.floats(0, allow_nan=False) | st.sampled_from([0.0, math.inf, math.nan, 1e-13])
witnesses = st.tuples(names, names)

places = st.builds(Place, st.integers(0, 10**12), counts, counts)
differences = st.builds(
    Difference, kind=names, name=names, place=places, source=names, network=names, layer=names, node=counts, pair=witnesses,
    error=norms, size=norms, allowance=norms, diverged=st.booleans(), reason=names,
)  # fmt: skip
rows = st.builds(
    lambda compared, wrong, **rest: Row(compared=compared + wrong, wrong=wrong, **rest),
    st.integers(0, 1000), st.integers(0, 3), kind=names, pair=witnesses, worst=differences,
)  # fmt: skip
divergences = st.builds(Divergence, differences, names, st.lists(names, max_size=3).map(tuple), names)
points = st.lists(st.builds(Point, st.integers(0, 10**6), norms, norms), max_size=3).map(tuple)
comparisons = st.builds(
    Comparison, system=names, witnesses=st.lists(names, max_size=4).map(tuple), dtype=names, device=names,
    seed=st.integers(0, 2**63 - 1), iterations=st.integers(0, 10**6), batch=st.integers(0, 10**6), reduced=st.booleans(),
    rows=st.lists(rows, max_size=3).map(tuple), first=st.none() | divergences,
    curves=st.dictionaries(st.tuples(names, witnesses), points, max_size=2), samples=st.just({}),
    image_range=st.tuples(st.floats(-10, 0), st.floats(1, 10)), bundle=names, seconds=st.floats(0, 1e6),
)  # fmt: skip
reports = st.builds(
    Report, st.lists(comparisons, max_size=2).map(tuple), st.dictionaries(names, names, max_size=3)
)  # fmt: skip
