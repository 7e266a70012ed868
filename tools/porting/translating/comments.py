"""Comments: his, which stay where they stood, and those that a port adds.

While his code is translated a comment is a statement, the name of a number; `Comments.restored` makes it a comment again.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize

from ganspec.tools.porting.tracing.compiling import Source
from ganspec.tools.porting.translating.formatting import WIDTH

_COMMENT = re.compile(r"^(\s*)__comment_(\d+)__$", re.MULTILINE)


class Comments:
    """The comments of a ported file."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._of: dict[str, dict[int, str]] = {}  # his, by path and line

    def made(self, text: str) -> ast.stmt:
        """Returns: a statement that stands for a comment."""
        self._texts.append(text)
        return ast.Expr(ast.Name(f"__comment_{len(self._texts) - 1}__", ast.Load()))

    @staticmethod
    def is_comment(node: ast.stmt) -> bool:
        """Returns: whether a statement stands for a comment."""
        return (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Name) and node.value.id.startswith("__comment_")
        )

    def before(self, source: Source, body: list[ast.stmt], position: int) -> list[ast.stmt]:
        """Returns: his comments before a statement, or at its end."""
        if source.path not in self._of:
            self._of[source.path] = _comments_of(source.text)
        found, node = self._of[source.path], body[position]
        first = body[position - 1].end_lineno + 1 if position else node.lineno - _lines_above(found, node.lineno)  # type: ignore[operator]
        simple = not isinstance(
            node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.FunctionDef | ast.ClassDef
        )
        last = node.end_lineno if simple else node.lineno
        return [self.made(found[line]) for line in range(first, (last or 0) + 1) if line in found]

    def restored(self, text: str) -> str:
        """Returns: the text of translated code with its comments."""
        text = _COMMENT.sub(lambda m: _wrapped(self._texts[int(m[2])], m[1]), text)
        return re.sub(r"(?m)^(\s*# .*)\n\n+(?=\s*(?:def|class|@))", r"\1\n", text)


def _wrapped(comment: str, indent: str) -> str:
    """Returns: a comment as lines that are not too long."""
    lines = textwrap.wrap(comment, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"{indent}# {line}" for line in lines)


def _comments_of(text: str) -> dict[int, str]:
    """Returns: the comments of a source text by their lines."""
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
                found[token.start[0]] = token.string.lstrip("#").strip()
    except (tokenize.TokenError, SyntaxError):
        pass
    return {
        line: comment
        for line, comment in found.items()
        if comment and not comment.startswith(("-*-", "type:", "noqa", "pylint"))
    }


def _lines_above(comments: dict[int, str], line: int) -> int:
    """Returns: how many lines right above a line are comments."""
    count = 0
    while line - count - 1 in comments:
        count += 1
    return count
