"""Compiles a module of the user's with each mention of an old name replaced by a look-up of that name.

Only expressions and imports are replaced, each in its own place, so that the line numbers in tracebacks stay.
"""

import ast

from ganspec.impl_chainer.compat.old_names import table

LOOK_UP = "__ganspec_old_name__"  # with underscores at both ends, no class changes the name in its body
NUMPY = "__ganspec_numpy__"
VALUES = "ganspec.impl_chainer.compat.old_names.values"
STAR = "ganspec.impl_chainer.compat.old_names.star"


def knows(name):
    """Return whether this is a name of NumPy 1.23 that is given again."""
    return name in table.NAMES


def compiled(source, path):
    """Return the code of a module, with the old names in it.

    Args:
        source: bytes of the file.
        path: path of the file, for tracebacks.

    Raises:
        SyntaxError: the source is not Python.
    """
    tree = with_old_names(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def with_old_names(tree):
    """Return the syntax tree of a module, with each mention of an old name replaced in place."""
    rewriter = _Rewriter()
    tree = rewriter.visit(tree)
    if rewriter.found:
        _insert_look_up(tree)
    return tree


def _insert_look_up(tree):
    """Import the look-up in front of the first statement that may follow another import."""
    place = 0
    for statement in tree.body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not (future or (place == 0 and text)):
            break
        place += 1
    line = tree.body[min(place, len(tree.body) - 1)]
    look_up = ast.ImportFrom(VALUES, [ast.alias("old_name", LOOK_UP)], 0)
    tree.body.insert(place, ast.copy_location(look_up, line))


class _Rewriter(ast.NodeTransformer):
    """Replaces what mentions an old name; ``found`` says whether anything did."""

    def __init__(self):
        self.found = False

    def visit_Attribute(self, node):
        """``np.float`` becomes the look-up of "float" in ``np``."""
        self.generic_visit(node)
        if node.attr not in table.NAMES or not isinstance(node.ctx, ast.Load):
            return node
        return ast.copy_location(self._look_up(node.value, node.attr), node)

    def visit_ImportFrom(self, node):
        """``from numpy import float`` becomes an assignment, ``from numpy import *`` an import of `star`."""
        if node.module not in ("numpy", "cupy") or node.level:
            return node
        if node.names[0].name == "*":
            return ast.copy_location(ast.ImportFrom(STAR, node.names, 0), node) if node.module == "numpy" else node
        old = [alias for alias in node.names if alias.name in table.NAMES]
        new = [alias for alias in node.names if alias.name not in table.NAMES]
        if not old:
            return node
        statements = [ast.ImportFrom(node.module, new, 0)] if new else []
        statements.append(ast.Import([ast.alias(node.module, NUMPY)]))
        for alias in old:
            target = ast.Name(alias.asname or alias.name, ast.Store())
            statements.append(ast.Assign([target], self._look_up(ast.Name(NUMPY, ast.Load()), alias.name)))
        return [ast.copy_location(statement, node) for statement in statements]

    def visit_match_case(self, node):
        """A pattern is no expression, and stays."""
        node.guard = node.guard and self.visit(node.guard)
        node.body = [each for old in node.body for each in _as_list(self.visit(old))]
        return node

    def _look_up(self, value, name):
        self.found = True
        return ast.Call(ast.Name(LOOK_UP, ast.Load()), [value, ast.Constant(name)], [])


def _as_list(visited):
    return visited if isinstance(visited, list) else [visited]
