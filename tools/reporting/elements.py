"""Tags of HTML and SVG, written so that no text goes into a page without being escaped."""

from __future__ import annotations

import html

from ganspec.spec.text.errors import printable


class Markup(str):
    """Text that is HTML already; whatever else goes into an element is escaped."""

    __slots__ = ()


_VOID = {"br", "col", "hr", "img", "meta"}  # tags that have no end


def element(tag: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """Write an element.

    Args:
        tag: name of the tag.
        children: what is in it: `Markup` as it is; other text with escapes for markup, and for characters that are not printable.
        attributes: its attributes; an underscore stands for a hyphen, one at the end for nothing; None leaves the attribute out.

    Returns: the element.
    """
    pairs = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    start = "".join(f' {name}="{html.escape(printable(str(value)))}"' for name, value in pairs.items())
    if tag in _VOID:
        return Markup(f"<{tag}{start}>")
    return Markup(f"<{tag}{start}>{joined(*children)}</{tag}>")


def joined(*children: Markup | str) -> Markup:
    """Returns: children one after the other, those that are not `Markup` escaped."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(printable(c)) for c in children))
