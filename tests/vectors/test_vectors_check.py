"""`ganspec vectors`: checking an implementation, what it says of a wrong one, and the example that does without ganspec."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.__main__ import main
from ganspec.tools.errors import UserError
from ganspec.tools.vectors import PACKAGED, check, files, load_module, read_vectors

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ROOT / "tests" / "support" / "numpy_answers.py"
EXAMPLE = ROOT / "docs" / "check_vectors.py"


@functools.cache
def packaged():
    return read_vectors(PACKAGED)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """The packaged vectors are read once for all of these tests."""
    read = files.read_vectors
    monkeypatch.setattr(files, "read_vectors", lambda folder: packaged() if folder == PACKAGED else read(folder))


@pytest.fixture
def by_id():
    return {vector.case.id: vector for vector in packaged()}


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(["vectors", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_right_implementation_agrees_and_what_it_lacks_is_counted(capsys):
    code, out, _ = run(capsys, "--check", str(ANSWERS))
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("  ")}
    counts = read_index()
    assert rows["optimizer"] == [str(counts["optimizer"]), "0", "0"]
    assert rows["system"] == ["0", "0", str(counts["system"])]
    agree, wrong, skipped = map(int, rows["layer"])
    assert (agree + skipped, wrong) == (counts["layer"], 0)
    assert agree >= 8
    assert "no function 'function'" in out
    assert out.splitlines()[-1].endswith("numpy_answers.py agrees")


def read_index() -> dict[str, int]:
    ids = [case for cases in json.loads((PACKAGED / "index.json").read_text())["cases"].values() for case in cases]
    return {kind: sum(case.startswith(f"{kind}/") for case in ids) for kind in ("layer", "optimizer", "system")}


PARAMETER = "after/1/parameters/W"
# What is put in place of what, and the case and name that must be seen.
MISTAKES = {
    "adam's epsilon": ("m / (np.sqrt(v) + epsilon)", "m / np.sqrt(v + epsilon)", "optimizer/adam/uncorrected", PARAMETER),
    "rmsprop's start": ('0.0 if adam else keys["start"]', "0.0", "optimizer/rmsprop/inside_from_1", "after/1/moments/v/W"),
    "time of clipping": ('["when"] == "before"', '["when"] == "after"', "optimizer/rmsprop/clipped_before", PARAMETER),
    "slope at 0": ("np.where(x > 0, 1.0", "np.where(x >= 0, 1.0", "layer/relu/at_the_kink", "gradients/inputs/0"),
    "double backprop": ('"W": 2 * c.T @ g', '"W": 0 * c.T @ g', "layer/linear/plain", "penalty_gradients/parameters/W"),
    "a reversed weight": ("x @ w.T", "x @ w[:, ::-1].T", "layer/linear/plain", "output"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_implementation_is_seen_where_it_is_wrong(mistake, tmp_path, capsys):
    right, wrong, case, name = MISTAKES[mistake]
    text = ANSWERS.read_text()
    assert right in text
    code, out, _ = run(capsys, "--check", write(tmp_path, text.replace(right, wrong)))
    assert code == 1
    assert f"{case}: {name}: is " in out
    assert out.splitlines()[-1].endswith("DISAGREES")


MISSING = "output: no such answer, expected an array of shape [2, 6]"
# A function's last line, and what must be said of the case layer/tanh/far_out.
WRONG = {
    "raises": ("return case['nothing']", "raised KeyError: 'nothing' (mine.py, line 4)"),
    "no dictionary": ("return 3", "raised TypeError: the answer is a int, expected a dictionary of arrays by name"),
    "missing": ("return {}", f"{MISSING}; answer None for what is not computed"),
    "misspelt": ("return {'outputs': 0}", f"{MISSING}; did you mean 'outputs'?"),
    "shape": ("return {'output': x[0]}", "output: has the shape [6], expected [2, 6]"),
    "dtype": ("return {'output': 'abc'}", "output: has the dtype <U3, expected float64"),
    "not finite": ("return {'output': x / 0}", "output: has a value that is not finite"),
    "float32": ("return {'output': np.tanh(x).astype('float32')}", "; is it float32? compute in float64"),
    "a wrong number": ("return {'output': np.tanh(x) + (x == x[1, 2])}", " at [1, 2]"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_is_explained(what, tmp_path, by_id):
    line, said = WRONG[what]
    text = f"import numpy as np\ndef layer(case):\n    x = case['given']['inputs/0']\n    {line}\n"
    outcome = check(load_module(write(tmp_path, text)), by_id["layer/tanh/far_out"])
    assert any(said in line for line in outcome.wrong), outcome.wrong


def test_none_is_skipped_and_so_is_all_below_it(tmp_path, by_id):
    answers = "{'output': np.tanh(x), 'gradients': None, 'penalty': None, 'penalty_gradients/inputs': None}"
    text = f"import numpy as np\ndef layer(case):\n    x = case['given']['inputs/0']\n    return {answers}\n"
    outcome = check(load_module(write(tmp_path, text)), by_id["layer/tanh/far_out"])
    assert (outcome.compared, outcome.skipped, outcome.wrong, outcome.reason) == (1, 3, [], "")


SPOILER = """
def layer(case):
    assert 'expected' not in case
    for array in case['given'].values():
        array[...] = 0
    case.clear()
    raise NotImplementedError('later')
"""


def test_a_question_does_not_hold_the_answers_and_may_be_changed(tmp_path, by_id):
    vector = by_id["layer/tanh/far_out"]
    before = vector.case.given["inputs/0"].copy()
    outcome = check(load_module(write(tmp_path, SPOILER)), vector)
    assert outcome.reason == "not implemented: later"
    assert np.array_equal(vector.case.given["inputs/0"], before)
    assert vector.case.facts["layer"]["kind"] == "tanh"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import no_such_framework",
            "mine.py: does not import: ModuleNotFoundError: No module named 'no_such_framework'",
        ),
        ("def layer(:", "mine.py: does not import: SyntaxError"),
        ("raise SystemExit(0)", "mine.py: does not import: SystemExit"),
        ("x = 1", "mine.py: has no function to check: expected one of function, layer, loss, optimizer, system"),
        ("layer = 3", "mine.py: has no function to check"),
    ],
)
def test_a_module_that_cannot_be_checked_is_explained(text, said, tmp_path, capsys):
    code, _, err = run(capsys, "--check", write(tmp_path, text))
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check", "no_such_file.py"], "no_such_file.py: there is no such file"),
        (["--check", "no_such_module"], "no_such_module: does not import: ModuleNotFoundError"),
        (["--check", str(ANSWERS), "--only", "laier/*"], "--only laier/*: no case has such an id"),
        (["--check", str(ANSWERS), "--only", "system/*"], "nothing was checked, because everything was skipped"),
        (["--write", "out", "--only", "layer/*"], "--write writes all vectors; leave out --only and --from"),
        (["--from", "no_such_folder"], "no_such_folder/schema.json: cannot be read: No such file or directory"),
    ],
    ids=" ".join,
)
def test_what_cannot_run_is_explained(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert said in err
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_module_is_imported_is_no_mistake_of_the_module(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        load_module(write(tmp_path, "raise KeyboardInterrupt"))


def test_a_file_may_import_what_lies_beside_it(tmp_path):
    write(tmp_path, "def answer(case):\n    return {}\n", "beside_mine.py")
    assert load_module(write(tmp_path, "from beside_mine import answer as layer\n")).layer({}) == {}


def test_without_an_option_the_vectors_are_counted(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert out.startswith(f"{len(packaged())} golden vectors in ")


def example(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.modules['ganspec'] = None; sys.path[:0] = sys.argv[1:3]; "  # ganspec cannot be imported
    code += "import check_vectors; sys.exit(check_vectors.main(*sys.argv[3:]))"
    command = [sys.executable, "-c", code, str(EXAMPLE.parent), str(folder), str(PACKAGED), module]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_example_without_ganspec_agrees_with_the_program(capsys):
    done = example(ANSWERS.parent, "numpy_answers")
    assert done.returncode == 0, done.stderr
    _, out, _ = run(capsys, "--check", str(ANSWERS))
    assert f"{done.stdout.split()[0]} answers compared, 0 wrong" in out
    assert ", 0 wrong, " in done.stdout


@pytest.mark.parametrize("mistake", ["adam's epsilon", "double backprop"])
def test_the_example_without_ganspec_sees_what_is_wrong(mistake, tmp_path):
    right, wrong, case, name = MISTAKES[mistake]
    write(tmp_path, ANSWERS.read_text().replace(right, wrong))
    done = example(tmp_path, "mine")
    assert done.returncode == 1, done.stderr
    assert f"{case}: {name}: " in done.stdout


def test_the_example_is_short_and_needs_no_more_than_it_says():
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) <= 60
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "safetensors"}


def test_user_errors_of_the_reader_are_user_errors(tmp_path):
    with pytest.raises(UserError):
        read_vectors(tmp_path)
