"""What a port can translate, by name, read from the tables of the translation; the guide's lists are written from it."""

from __future__ import annotations

import textwrap
from pathlib import Path

BEGIN, END = "<!-- names from the tables: begin -->", "<!-- names from the tables: end -->"
_WIDTH = 130


def supported() -> dict[str, list[str]]:
    """Returns: the names of what can be translated, sorted, by what they are."""
    from ganspec.tools.porting.optimizers_written import HOOKS, OPTIMIZERS
    from ganspec.tools.porting.translating import distributions, functions, links, numpy_tables

    return {
        "Functions (`chainer.functions`)": sorted(functions.FUNCTIONS),
        "Links (`chainer.links`)": sorted(link.__name__ for link in links.LINKS),
        "Distributions": sorted(cls.__name__ for cls in distributions.KINDS),
        "NumPy and CuPy": sorted({*numpy_tables.NUMPY, *numpy_tables.CREATING} - {"random.seed"}),
        "Draws (`numpy.random`)": sorted(numpy_tables.DRAWS),
        "Methods of arrays and variables": sorted({*numpy_tables.METHODS, "astype"}),
        "Optimisers, with their state": sorted(OPTIMIZERS),
        "Hooks of optimisers": sorted(HOOKS),
    }


def markdown() -> str:
    """Returns: the lists as Markdown, a paragraph for each kind."""
    paragraphs = [f"**{kind}**: {', '.join(names)}." for kind, names in supported().items()]
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
