"""Extractors: what they are given, what they give, and what is refused before it is run."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ganspec.tools.errors import UserError
from ganspec.tools.quality import extractors
from ganspec.tools.quality.extractors import Extractor, inception_weights, make_extractor

torch = pytest.importorskip("torch")
PIXELS = np.random.default_rng(0).integers(0, 256, (70, 1, 5, 4), dtype=np.uint8)


def made(name: str, **options: Any) -> Extractor:
    given = {"backend": "torch", "device": "cpu", "weights": None, "download": False}
    return make_extractor(name, **(given | options))


class Means(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.double().mean(dim=[2, 3])


class WithClasses(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.float().mean(dim=[2, 3]), x.float().flatten(1)


class WithSwitch(torch.nn.Module):
    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return x.float().mean(dim=[2, 3]) if return_features else x.float()


class NotRows(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


class NotNumbers(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean(dim=[2, 3]) / 0.0


class OneSizeOnly(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().reshape(-1, 3 * 299 * 299)


@pytest.fixture
def script(tmp_path: Path) -> Any:
    def save(module: Any) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.script(module()), str(tmp_path / "mine.pt"))
        return str(tmp_path / "mine.pt")

    return save


def test_script_is_given_bytes_in_three_channels(script: Any) -> None:
    extractor = made(script(Means))
    seen = extractor(PIXELS)
    assert seen.logits is None
    np.testing.assert_allclose(seen.features, np.repeat(PIXELS.mean(axis=(2, 3)), 3, axis=1))
    assert extractor.protocol["extractor"] == "mine.pt"
    assert extractor.protocol["extractor_sha256"] == hashlib.sha256(Path(script(Means)).read_bytes()).hexdigest()


def test_script_may_give_classes_too(script: Any) -> None:
    seen = made(script(WithClasses))(PIXELS)
    assert seen.features.shape == (70, 3)
    assert seen.logits is not None
    assert seen.logits.shape == (70, 60)


def test_script_with_the_switch_of_nvidias_is_asked_for_features(script: Any) -> None:
    assert made(script(WithSwitch))(PIXELS).features.shape == (70, 3)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (NotRows, r"gives \[64, 3, 5, 4\] for 64 images, expected 64 rows of floating-point numbers"),
        (NotNumbers, "gives numbers that are not finite"),
        (OneSizeOnly, r"does not take uint8 images of the shape \[64, 3, 5, 4\]"),
    ],
)
def test_script_that_gives_something_else_is_refused(script: Any, module: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        made(script(module))(PIXELS)


def test_file_that_is_no_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"is not a TorchScript file: .*make one with torch\.jit\.save"):
        made(str(tmp_path / "x.pt"))
    with pytest.raises(UserError, match="cannot be read"):
        made(str(tmp_path / "absent.pt"))
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(UserError, match="is not a regular file"):
        made(str(tmp_path / "pipe.pt"))
    with open(tmp_path / "large.pt", "wb") as file:
        file.truncate(extractors.MAX_SCRIPT_BYTES + 1)
    with pytest.raises(UserError, match="is larger than"):
        made(str(tmp_path / "large.pt"))


def test_unknown_extractor_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"there is no extractor 'inceptoin'.*did you mean 'inception'\?"):
        made("inceptoin")
    with pytest.raises(UserError, match="leave it out"):
        made("digits", weights=Path("x.pth"))


# A network with the interface of torch-fidelity's, which cannot be had without torchvision.
class StandIn(torch.nn.Module):
    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Any = None) -> None:
        super().__init__()
        assert (name, features_list) == ("inception-v3-compat", ["2048", "logits_unbiased"])
        self.scale = torch.nn.Parameter(torch.zeros(1))
        self.load_state_dict(torch.load(feature_extractor_weights_path))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        return self.scale * x.float().mean(dim=[2, 3]), x.float().flatten(1)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns: the path of the weights in the cache folder, not yet there; the published ones are what `publish` makes them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ganspec" / "extractors" / extractors.INCEPTION.name


def publish(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    published = dataclasses.replace(
        extractors.INCEPTION,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        urls=("http://localhost:9/x",),
    )
    monkeypatch.setattr(extractors, "INCEPTION", published)


def test_inception_reads_the_published_weights_from_the_cache(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    package.FeatureExtractorInceptionV3 = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    content = io.BytesIO()
    torch.save({"scale": torch.tensor([2.0])}, content)
    publish(content.getvalue(), monkeypatch)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(content.getvalue())
    extractor = made("inception")
    seen = extractor(PIXELS)
    np.testing.assert_allclose(seen.features, 2 * np.repeat(PIXELS.mean(axis=(2, 3)), 3, axis=1), rtol=1e-6)
    assert extractor.protocol["extractor_sha256"] == extractors.INCEPTION.sha256
    assert seen.logits is not None


def test_inception_without_weights_says_how_to_get_them(weights: Path) -> None:
    with pytest.raises(UserError, match=r"is not there: .* 96 MB; fetch them with --download, or give the file"):
        inception_weights(None, download=False)


def test_weights_that_are_not_the_published_ones_are_refused(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(b"right", monkeypatch)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"wrong")
    with pytest.raises(UserError, match=f"whose SHA-256 is {hashlib.sha256(b'right').hexdigest()}"):
        inception_weights(None, download=False)
    weights.write_bytes(b"right and more")
    with pytest.raises(UserError, match="is larger than 5 bytes"):
        inception_weights(weights, download=False)
    weights.write_bytes(b"right")
    assert inception_weights(None, download=True) == b"right"  # what is there needs no network


def test_missing_torch_fidelity_is_named_with_the_extra(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(b"right", monkeypatch)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"right")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match=r"needs torch-fidelity, .* pip install 'ganspec\[quality\]'"):
        made("inception")


def test_the_networks_own_code_takes_weights_of_its_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    if "torchvision" not in sys.modules:
        pytest.importorskip("torchvision")
    package = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    random = package.FeatureExtractorInceptionV3.__new__(package.FeatureExtractorInceptionV3)
    monkeypatch.setattr(package.torch, "load", lambda *_: None)
    monkeypatch.setattr(package.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    random.__init__("inception-v3-compat", ["2048"], feature_extractor_weights_path=io.BytesIO())
    content = io.BytesIO()
    torch.save(torch.nn.Module.state_dict(random), content)
    monkeypatch.undo()
    seen = extractors.InceptionExtractor(content.getvalue(), "cpu")(PIXELS[:2])
    assert seen.features.shape == (2, 2048)
    assert seen.logits is not None
    assert seen.logits.shape == (2, 1008)
