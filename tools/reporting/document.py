"""The frame of a page: one HTML file that needs no network and no script."""

from __future__ import annotations

from pathlib import Path

from ganspec.tools.reporting.elements import Markup, element

# Even if a text in a page were not escaped, a browser would load nothing and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MAX_TITLE = 120  # characters


def document(title: str, *parts: Markup, style: str = "") -> str:
    """Write a page in the look of the house.

    Args:
        title: title in the browser's tab; it is shortened.
        parts: what is on the page.
        style: rules of CSS that follow those of the house; trusted text.

    Returns: the whole file, to be written as UTF-8; it refers to nothing outside itself.
    """
    css = Path(__file__).with_name("page.css").read_text("utf-8") + style
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 3] + "..."),
        element("style", Markup(css)),
    )
    page = element("html", head, element("body", element("main", *parts)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"
