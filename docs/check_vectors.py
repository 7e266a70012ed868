"""Check an implementation against ganspec's golden vectors, without ganspec: python check_vectors.py FOLDER MODULE

MODULE is importable and has functions named as the kinds of case: layer, function, optimizer, loss, system. Each takes a case
and returns its answers, arrays by name ("gradients/inputs/0"). What is None, or raises NotImplementedError, is skipped.
"""

import contextlib
import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def cases(folder):
    """Yields: each case with its given arrays; the expected ones as (name, shape, kept numbers, allowed distance); fold."""
    for path in sorted(Path(folder).rglob("*.safetensors")):
        file, arrays = json.loads(path.with_suffix(".json").read_text("utf-8")), load_file(path)
        for case in file["cases"]:
            given = {name: arrays[f"{case['id']}:{name}"] for name in case["given"]}
            case["given"] = {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in given.items()}
            numbers, start, expected = arrays[f"{case['id']}:expected"], 0, []
            for name, shape, _norm, within in case.pop("expected"):
                count = file["fold"] if math.prod(shape) > 2 * file["fold"] else math.prod(shape)
                expected.append((name, tuple(shape), numbers[start : start + count], within))
                start += count
            yield case, expected, file["fold"]


def distance(answer, shape, kept, fold):
    """Returns: the norm of the difference; of a large array, that of its sums of every fold-th number."""
    flat = np.asarray(answer, np.float64).ravel()
    if np.shape(answer) != shape or not np.isfinite(flat).all():
        return math.inf
    sums = np.pad(flat, (0, -len(flat) % fold)).reshape(-1, fold).sum(axis=0)
    return np.linalg.norm((flat if len(kept) == len(flat) else sums) - kept)


def main(folder, module):
    functions, counts = importlib.import_module(module), {"agree": 0, "wrong": 0, "skipped": 0}
    for case, expected, fold in cases(folder):
        function = getattr(functions, case["id"].partition("/")[0], None)
        answers = {name: None for name, *_ in expected}
        with contextlib.suppress(NotImplementedError):
            answers = function(case) if function else answers
        for name, shape, kept, within in expected:
            answer = answers.get(name, math.nan)
            far = 0 if answer is None else distance(answer, shape, kept, fold)
            counts["skipped" if answer is None else "agree" if far <= within else "wrong"] += 1
            if not far <= within:
                print(f"{case['id']}: {name}: {far:.1e} away, at most {within:.0e} is allowed")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 0 if counts["agree"] and not counts["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
