"""The pages of documentation as data: their fenced blocks, tables, links, headings and words in backticks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text and the line on which the text begins."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The name of the file that the block shows, from a first line such as "# my_loss.toml"; "" for none."""
        found = re.match(r"# (\w+\.\w+)\n", self.text)
        return found[1] if found else ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Returns: the fenced blocks of a page, in order; of some languages only, where any are given."""
    text = page.read_text("utf-8")
    found = [Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 2) for match in _FENCE.finditer(text)]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Returns: a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def words_in_backticks(text: str) -> list[str]:
    return _CODE.findall(text)


def links(page: Path) -> list[str]:
    """Returns: the targets of a page's links and pictures."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Returns: the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Returns: each Markdown table: the cells of its heading, and those of its rows."""
    found = []
    for lines in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        head, _, *rows = [_cells(line) for line in lines.splitlines()]
        found.append((head, rows))
    return found


def rows_under(page: Path, heading: str) -> dict[str, list[str]]:
    """Returns: the rows of the tables whose first heading is `heading`, by each word in backticks of the first cell."""
    rows = [row for head, rows in tables(prose(page)) if head[0] == heading for row in rows]
    return {name: row for row in rows for name in words_in_backticks(row[0])}


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
