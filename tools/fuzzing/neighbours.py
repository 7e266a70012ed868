"""Invalid neighbours: one token of a system is changed; it is another valid system then, or answered by a message."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from ganspec.tools.fuzzing.networks import Draw
from ganspec.tools.fuzzing.systems import systems
from ganspec.tools.fuzzing.writing import Drawn

# Words, numbers, and single signs; brackets and quotes among them.
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|-?[0-9][0-9.e+-]*|[^\sA-Za-z0-9_]")
# What may stand in place of any token: extreme numbers, signs, names that mean something elsewhere.
STRANGERS = (
    "0", "1", "-1", "0.5", "1e308", "1e-320", "99999999999", "nan", "inf", "true", '""', "[]", "{}", "-", "*", "^", "(", ")", ",",
    ".", '"', "[", "]", "=", "x", "y", "z", "c", "G", "D", "D(x)", "grad", "mean", "detach", "inference", "norm", "none",
    "batch_norm", "network", "system.toml", "D.toml", "loss.toml", "stages", "from", "update", "reuse", "kind", "é", "\\u0000",
)  # fmt: skip


@st.composite
def neighbours(draw: Draw) -> Drawn:
    """Returns: a strategy of systems in which one token of one file is another, is missing, or stands twice."""
    drawn = draw(systems())
    name = draw(st.sampled_from(sorted(drawn.files)))
    text = drawn.files[name]
    tokens = list(_TOKEN.finditer(text))
    token = draw(st.sampled_from(tokens))
    others = sorted({other.group() for other in tokens})
    changes = st.one_of(st.sampled_from(STRANGERS), st.sampled_from(others), st.just(""), st.just(token.group() * 2))
    changed = text[: token.start()] + draw(changes) + text[token.end() :]
    return Drawn({**drawn.files, name: changed}, drawn.seed, drawn.iterations)
