"""The names that NumPy 1 had and a current NumPy has not, each with what it was; data only.

Source: the names of NumPy 1.23.5, and NumPy's release notes for those that were gone by then (asscalar, alen, rank). Left
out are names that a program seldom needs: error masks, documentation tools, modules that NumPy itself imports.
"""

# Another name of one of Python's own types, whatever a current NumPy has under this name.
PYTHON_TYPES = {
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "object": object,
    "str": str,
    "long": int,
    "unicode": str,
}
CONSTANTS = {
    "Inf": float("inf"),
    "Infinity": float("inf"),
    "infty": float("inf"),
    "PINF": float("inf"),
    "NINF": -float("inf"),
    "NaN": float("nan"),
    "NAN": float("nan"),
    "PZERO": 0.0,
    "NZERO": -0.0,
}
# Another name of something that NumPy still has.
RENAMED = {
    "alltrue": "all",
    "bool8": "bool_",
    "bytes0": "bytes_",
    "cfloat": "complex128",
    "clongfloat": "clongdouble",
    "complex_": "complex128",
    "cumproduct": "cumprod",
    "float_": "float64",
    "int0": "intp",
    "longcomplex": "clongdouble",
    "longfloat": "longdouble",
    "mat": "asmatrix",
    "object0": "object_",
    "product": "prod",
    "round_": "round",
    "row_stack": "vstack",
    "singlecomplex": "complex64",
    "sometrue": "any",
    "str0": "str_",
    "string_": "bytes_",
    "trapz": "trapezoid",
    "uint0": "uintp",
    "unicode_": "str_",
    "void0": "void",
    # Moved into a module of their own.
    "AxisError": "exceptions.AxisError",
    "ComplexWarning": "exceptions.ComplexWarning",
    "ModuleDeprecationWarning": "exceptions.ModuleDeprecationWarning",
    "RankWarning": "exceptions.RankWarning",
    "TooHardError": "exceptions.TooHardError",
    "VisibleDeprecationWarning": "exceptions.VisibleDeprecationWarning",
    "DataSource": "lib.npyio.DataSource",
    "compare_chararrays": "char.compare_chararrays",
    "format_parser": "rec.format_parser",
    "byte_bounds": "lib.array_utils.byte_bounds",
}
# What `functions` defines, under the same names.
FUNCTIONS = frozenset(["alen", "asfarray", "asscalar", "cast", "in1d", "msort", "rank", "sctypes"])
METHODS = frozenset(["itemset", "newbyteorder", "ptp", "tostring"])
# What `from numpy import *` brought with NumPy 1.23 and brings no longer.
STARRED = (CONSTANTS.keys() | RENAMED.keys() | FUNCTIONS) - {"alen", "asscalar", "rank"}
# What it brings since NumPy 2.0 in place of Python's own functions, or those of the module math.
SHADOWING = frozenset(
    ["abs", "bool", "long", "max", "min", "pow", "round", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh"]
)
NAMES = PYTHON_TYPES.keys() | CONSTANTS.keys() | RENAMED.keys() | FUNCTIONS | METHODS
