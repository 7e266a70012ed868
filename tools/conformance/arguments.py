"""Whether the arguments of a check are of the kinds that it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ganspec.spec.training.options import DTYPES, check_choice, check_seed
from ganspec.tools.conformance.errors import ConformanceError


def is_mapping_of_texts(value: object) -> bool:
    """Returns: whether a value is a dictionary of texts by texts."""
    return isinstance(value, Mapping) and all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())


def is_list_of(value: object, kind: type) -> bool:
    """Returns: whether a value is a list or tuple of one kind; a bool is no number here."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and all(_is(v, kind) for v in value)


def whole_number(name: str, value: object, least: int, most: int) -> None:
    """Raises: ConformanceError: an argument is no whole number within bounds."""
    if not _is(value, int) or not least <= value <= most:  # type: ignore[operator]
        raise wrong(name, value, f"a whole number from {least} to {most}")


def run_options(seed: object, dtype: object) -> None:
    """Raises: ConformanceError: the argument `seed` is no seed, or `dtype` no precision."""
    try:
        check_choice("dtype", dtype, DTYPES)
        check_seed(seed)
    except ValueError as error:
        raise ConformanceError(str(error)) from None


def texts(name: str, value: object, example: str) -> None:
    """Raises: ConformanceError: an argument is neither None nor a dictionary of texts by texts."""
    if value is not None and not is_mapping_of_texts(value):
        raise wrong(name, value, f"a dictionary of texts, such as {example}")


def changes(value: object) -> None:
    """Raises: ConformanceError: the argument `settings` is no list of texts."""
    if not is_list_of(value, str):
        raise wrong("settings", value, 'a list of texts "KEY=VALUE", such as ["run.batch=16"]')


def by_network(optimizers: object, mapping: object) -> None:
    """Raises: ConformanceError: the arguments `optimizers` or `mapping` are no dictionaries by network."""
    if optimizers is not None and not isinstance(optimizers, Mapping):
        raise wrong("optimizers", optimizers, 'a dictionary of optimisers by network, such as {"G": opt_g, "D": opt_d}')
    inner = mapping.values() if isinstance(mapping, Mapping) else ()
    if mapping is not None and not (isinstance(mapping, Mapping) and all(is_mapping_of_texts(v) for v in inner)):
        raise wrong("mapping", mapping, 'a dictionary of dictionaries by network, such as {"D": {"l1": "fc1"}}')


def returned_names(value: object) -> None:
    """Raises: ConformanceError: the argument `reports` names nothing."""
    if value is not None and not is_mapping_of_texts(value) and not is_list_of(value, str):
        raise wrong(
            "reports", value, 'a dictionary such as {"d_loss": "loss_D"}, or for a tuple a list such as ["loss_D"]'
        )


def shape(name: str, value: Any, own: Sequence[int]) -> None:
    """Raises: ConformanceError: an argument is no shape of as many numbers as a sample has, of which `own` is the shape."""
    if value is None:
        return
    if not is_list_of(value, int) or any(n < 1 for n in value) or math.prod(value) != math.prod(own):
        raise wrong(name, value, f"a list of sizes whose product is {math.prod(own)}, such as {[math.prod(own)]}")


def wrong(name: str, value: object, expected: str) -> ConformanceError:
    """Returns: the error for an argument that is not what is expected; what is shown of it is bounded."""
    said = " ".join(repr(value).split())
    return ConformanceError(f"{name} is {said if len(said) <= 60 else said[:57] + '...'}, expected {expected}")


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
