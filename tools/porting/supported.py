"""The guide's lists of what can be ported: written from the tables of the translation and of the optimisers."""

from __future__ import annotations

import textwrap
from pathlib import Path

BEGIN, END = "<!-- names from the tables: begin -->", "<!-- names from the tables: end -->"
_WIDTH = 130


def lists() -> dict[str, tuple[str, ...]]:
    """Returns: the names of what can be ported, by where they stand in Chainer or NumPy."""
    from ganspec.tools.porting.optimizers_written import HOOKS, OPTIMIZERS
    from ganspec.tools.porting.translating.covered import supported

    carried = {
        "chainer.optimizers, with their state": tuple(sorted(OPTIMIZERS)),
        "chainer.optimizer_hooks": tuple(sorted(HOOKS)),
    }
    return {**supported(), **carried}


def markdown() -> str:
    """Returns: the lists as Markdown, a paragraph for each."""
    paragraphs = [f"**{kind}**: {', '.join(names)}." for kind, names in lists().items()]
    return "\n\n".join(textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in paragraphs)


def updated(page: str) -> str:
    """Returns: a page's text with the lists between its two marks as they are now.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def update_page(path: str | Path) -> None:
    """Write the lists into a page."""
    Path(path).write_text(updated(Path(path).read_text("utf-8")), "utf-8")
