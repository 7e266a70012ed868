"""The files of golden vectors: the schema, damage, files of strangers, and writing all or nothing."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ganspec.tools.__main__ import main
from ganspec.tools.errors import UserError
from ganspec.tools.vectors import PACKAGED, files, linting, read_vectors, write_vectors
from ganspec.tools.vectors.case import Case, Expected
from ganspec.tools.vectors.files import DESCRIPTIONS, INDEX, SCHEMA
from ganspec.tools.vectors.making import Vector
from ganspec.tools.vectors.schema import WORDS, problems_of

SMALL = ("optimizers", "functions")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the vectors of optimisers and functions alone."""
    index = json.loads((PACKAGED / INDEX).read_text())
    there = tmp_path / "vectors"
    there.mkdir()
    names = [f"{name}{ending}" for name in SMALL for ending in (".json", ".safetensors")] + [DESCRIPTIONS, SCHEMA]
    for name in names:
        shutil.copy(PACKAGED / name, there)
    index["cases"] = {f"{name}.json": index["cases"][f"{name}.json"] for name in SMALL}
    index["files"] = {name: index["files"][name] for name in names}
    (there / INDEX).write_text(json.dumps(index))
    return there


def signed(folder: Path, name: str, content: bytes) -> None:
    """Write a file of a folder, and its digest into the index, as a stranger would."""
    (folder / name).write_bytes(content)
    index = json.loads((folder / INDEX).read_text())
    index["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))


def edited(folder: Path, name: str, edit) -> None:
    """Change the JSON of a file, with a right digest."""
    content = json.loads((folder / name).read_text())
    edit(content)
    signed(folder, name, json.dumps(content).encode()) if name != INDEX else (folder / name).write_text(
        json.dumps(content)
    )


def test_a_folder_of_some_files_is_read(folder):
    kinds = {vector.case.kind for vector in read_vectors(folder)}
    assert kinds == {"optimizer", "function"}
    found = linting.findings(folder, read_vectors(folder))
    assert "there is no case of loss/wgan_gp" in found
    assert found[-1] == f"write them again with: ganspec vectors --write {folder}"


# What is done to a folder, and what must be said.
DAMAGE = {
    "a byte": (lambda f: (f / "optimizers.json").write_bytes((f / "optimizers.json").read_bytes() + b" "),
               "optimizers.json: is damaged or of another version: its digest is not the one in the index"),
    "a file": (lambda f: (f / "functions.safetensors").unlink(), "functions.safetensors: cannot be read: No such file"),
    "no JSON": (lambda f: (f / INDEX).write_text("{"), "index.json: is damaged or of another version: Expecting"),
    "a list": (lambda f: (f / INDEX).write_text("[]"), "index.json: is damaged or of another version: it is no JSON object"),
    "deep": (lambda f: (f / INDEX).write_text("[" * 100_000), "index.json: is damaged"),
    "another version": (lambda f: edited(f, INDEX, lambda c: c.update(format="ganspec vectors 9")),
                        "format: found 'ganspec vectors 9', expected 'ganspec vectors 1'"),
    "an unknown key": (lambda f: edited(f, "optimizers.json", lambda c: c["cases"][0].update(more=1)),
                       "cases[0].more: unknown key"),
    "no source": (lambda f: edited(f, "optimizers.json", lambda c: c["cases"][0].pop("source")),
                  "cases[0]: the key 'source' is missing"),
    "a row": (lambda f: edited(f, "optimizers.json", lambda c: c["cases"][0]["expected"].pop()),
              "optimizer/adam/corrected: 108 expected numbers are kept, its rows name"),
    "a shape": (lambda f: edited(f, "optimizers.json", lambda c: c["cases"][0]["given"].update({"parameters/W": [3, 2]})),
                "optimizer/adam/corrected: parameters/W has the shape [2, 3], not [3, 2]"),
    "an id twice": (lambda f: edited(f, "optimizers.json", lambda c: c["cases"].append(copy.deepcopy(c["cases"][0]))),
                    "optimizers.json: is damaged"),
    "outside": (lambda f: edited(f, INDEX, lambda c: c["files"].update({"../../secret.json": "0" * 64})),
                "files: ../../secret.json is not the name of a file of vectors"),
    "cases outside": (lambda f: edited(f, INDEX, lambda c: c["cases"].update({"../x.json": ["layer/a"]})),
                      "cases: ../x.json is not the name of a file of vectors"),
    "a pipe": (lambda f: ((f / "optimizers.safetensors").unlink(), os.mkfifo(f / "optimizers.safetensors")),
               "optimizers.safetensors: cannot be read: is not a regular file"),
    "a huge file": (lambda f: os.truncate(f / "optimizers.safetensors", 10**12), "is larger than 5,000,000 bytes"),
    "no safetensors": (lambda f: signed(f, "optimizers.safetensors", b"\x00" * 64), "optimizers.safetensors: is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named(what, folder, capsys):
    damage, said = DAMAGE[what]
    damage(folder)
    assert main(["vectors", "--from", str(folder)]) == 2
    assert said in capsys.readouterr().err


def test_an_array_that_nothing_mentions_is_damage(folder):
    arrays = load_file(folder / "optimizers.safetensors")
    save_file({**arrays, "more": np.zeros(1)}, folder / "more")
    signed(folder, "optimizers.safetensors", (folder / "more").read_bytes())
    with pytest.raises(UserError, match="nothing mentions its array more"):
        read_vectors(folder)


def test_a_data_file_edited_since_is_named_with_its_number(folder):
    def edit(content):
        content["systems"]["wgan_gp_mlp_mnist"]["full"]["optimizers"]["G"]["learning_rate"] = 2e-4
        content["constants"]["losses/wgan_gp"]["penalty_weight"] = 11

    edited(folder, DESCRIPTIONS, edit)
    found = linting.findings(folder, read_vectors(folder))
    assert "system wgan_gp_mlp_mnist: full.optimizers.G.learning_rate: 0.0002 became 0.0001" in found
    assert "constant losses/wgan_gp: penalty_weight: 11 became 10" in found


def test_a_file_that_the_index_does_not_list_is_found(folder):
    (folder / "notes.txt").write_text("by hand")
    assert "notes.txt: the index does not list it" in linting.findings(folder, read_vectors(folder))


def tiny(value: float = 1.0, size: int = 3) -> Vector:
    given = {
        "inputs/0": np.array([0.1, 1.0]),
        "mask": np.array([True, False]),
        "y": np.array([1, 2]),
        "half": np.array(0.5),
    }
    expected = {"a": Expected((), np.array(value), 1e-12), "b": Expected((size, 10), np.arange(13.0), 1e-11)}
    return Vector(Case("layer/x/y", "title", "source", {"fade": 0.0}, given), expected)


def test_what_is_written_is_read(tmp_path):
    write_vectors(tmp_path / "made" / "here", [tiny()])
    (vector,) = read_vectors(tmp_path / "made" / "here")
    assert (vector.case.id, vector.case.title, vector.case.source, dict(vector.case.facts)) == (
        "layer/x/y", "title", "source", {"fade": 0.0},
    )  # fmt: skip
    for name, array in tiny().case.given.items():
        assert vector.case.given[name].dtype == array.dtype
        assert np.array_equal(vector.case.given[name], array)
    assert [(e.shape, e.within) for e in vector.expected.values()] == [((), 1e-12), ((3, 10), 1e-11)]
    assert np.array_equal(vector.expected["b"].values, np.arange(13.0))
    assert load_file(tmp_path / "made" / "here" / "layers.safetensors")["layer/x/y:half"].dtype == np.float32


def test_a_file_that_is_no_longer_needed_goes_and_others_stay(tmp_path):
    write_vectors(tmp_path, [tiny()])
    (tmp_path / "mine.txt").write_text("mine")
    other = tiny()
    write_vectors(tmp_path, [Vector(Case("loss/x", "t", "s", {}, other.case.given), other.expected)])
    assert not (tmp_path / "layers.json").exists()
    assert (tmp_path / "mine.txt").exists()
    assert [vector.case.id for vector in read_vectors(tmp_path)] == ["loss/x"]


def test_a_writing_that_stops_is_seen_by_the_next_reader(tmp_path, monkeypatch):
    write_vectors(tmp_path, [tiny()])
    right, written = files.write_atomically, []

    def stops(path, content):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        right(path, content)

    monkeypatch.setattr(files, "write_atomically", stops)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_vectors(tmp_path, [tiny(2.0)])
    assert not list(tmp_path.glob(".*"))
    monkeypatch.undo()
    with pytest.raises(UserError, match="digest"):
        read_vectors(tmp_path)


def test_vectors_that_are_too_large_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="at most 1,000 are allowed"):
        write_vectors(tmp_path / "out", [tiny()])
    assert not (tmp_path / "out").exists()


def test_the_packaged_files_are_small_together():
    size = sum(path.stat().st_size for path in PACKAGED.rglob("*"))
    assert size < files.MAX_BYTES == 5_000_000


def test_the_schema_uses_only_words_that_are_checked():
    schema = json.loads((PACKAGED / SCHEMA).read_text())

    def words(part):
        for word, inner in part.items():
            yield word
            if word in ("properties", "$defs"):
                for each in inner.values():
                    yield from words(each)
            elif isinstance(inner, dict):
                yield from words(inner)
            elif isinstance(inner, list):
                for each in inner:
                    yield from words(each) if isinstance(each, dict) else ()

    assert set(words(schema)) <= WORDS
    assert schema["$defs"]["cases"]["properties"]["fold"]["const"] == files.FOLD
    assert schema["$defs"]["format"]["const"] == files.FORMAT
    assert schema["$defs"]["cases"]["properties"]["columns"]["const"] == files.COLUMNS


@pytest.mark.parametrize(
    ("part", "right", "wrong"),
    [
        ({"type": "integer"}, 3, True),
        ({"type": ["string", "null"]}, None, 3),
        ({"const": "a"}, "a", "b"),
        ({"enum": [1, 2]}, 2, 3),
        ({"pattern": "^a+$"}, "aa", "ab"),
        ({"minimum": 0}, 0.0, -0.1),
        ({"minimum": 0}, 0, float("nan")),
        ({"required": ["a"]}, {"a": 1}, {}),
        ({"properties": {"a": {"type": "number"}}}, {"a": 1.5}, {"a": "b"}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "string"}}, {"b": "c"}, {"b": 1}),
        ({"type": "array", "items": {"type": "number"}}, [1, 2], [1, "2"]),
        ({"prefixItems": [{"type": "string"}, {"type": "number"}]}, ["a", 1], [1, "a"]),
        ({"minItems": 2, "maxItems": 2}, [1, 2], [1]),
        ({"$ref": "#/$defs/other"}, [], {}),
    ],
)
def test_each_word_of_the_schema_is_checked(part, right, wrong):
    schema = {"$defs": {"own": part, "other": {"type": "array"}}}
    assert not list(problems_of(right, schema, "own"))
    assert list(problems_of(wrong, schema, "own"))
