"""Extractors: what turns images into the features that metrics compare.

    digits      the packaged digit classifier: 64 features, logits of 10 classes
    inception   the Inception network with which FID was published, as torch-fidelity has it: 2048 features, 1008 logits
    FILE.pt     a TorchScript module of anyone's

A figure's protocol has the extractor's name, the SHA-256 of its weights, and how images were brought to its size.

A TorchScript file is a program: it runs in this process. It can compute without end and use all memory; do not load one from a
source that you would not run a program from. The weights of the Inception network are data: their SHA-256 is compared before they
are read, and they are read without unpickling objects (`weights_only`).
"""

from __future__ import annotations

import hashlib
import inspect
import io
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.data import DataError
from ganspec.tools.data.catalogue import Published
from ganspec.tools.data.download import cache_folder, download_file
from ganspec.tools.errors import UserError, reason
from ganspec.tools.quality.digits import RESIZE, DigitClassifier, as_digits
from ganspec.tools.quality.figures import Scalar
from ganspec.tools.quality.metrics import Features

NAMES = ("digits", "inception")
# FID's network, converted by torch-fidelity; its file's name begins the SHA-256.
INCEPTION = Published(
    "weights-inception-2015-12-05-6726825d.pth",
    95_628_359,
    None,
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ("https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",),
)
MAX_SCRIPT_BYTES = 2 * 2**30  # of a TorchScript file
_AT_ONCE = 64  # images in a large network at the same time
_MAX_FEATURES = 100_000  # numbers per image


class Extractor(Protocol):
    """Turns images into features.

    Attributes:
        protocol: what a figure's protocol says of the extractor: "extractor", "extractor_sha256", "resize" and the like.
    """

    protocol: dict[str, Scalar]

    def __call__(self, pixels: np.ndarray) -> Features:
        """Look at images.

        Args:
            pixels: uint8 (N, 1 or 3, height, width).

        Raises:
            UserError: the extractor cannot look at such images.
        """


def make_extractor(name: str, *, backend: str, device: str, weights: Path | None, download: bool) -> Extractor:
    """Make an extractor.

    Args:
        name: "digits", "inception", or the path of a TorchScript file, which ends in ".pt".
        backend: backend that evaluates the digit classifier; the others are evaluated by PyTorch.
        device: where it is evaluated, such as "cpu".
        weights: file of the Inception network's weights; None for the cache folder.
        download: whether they may be fetched from the network.

    Raises:
        UserError: there is no such extractor, or a file or package that it needs is missing or wrong.
    """
    if weights is not None and name != "inception":
        raise UserError(f"--extractor-weights is for --extractor inception, not for {name}; leave it out")
    if name == "digits":
        return DigitsExtractor(backend, device)
    if name == "inception":
        return InceptionExtractor(inception_weights(weights, download=download), device)
    if name.endswith(".pt"):
        return ScriptExtractor(Path(name), device)
    hint = did_you_mean(name, NAMES)
    message = (
        f"there is no extractor '{name}': {expected_one_of(NAMES)}, or the path of a TorchScript file, ending in .pt"
    )
    raise UserError(f"{message}; {hint}" if hint else message)


class DigitsExtractor:
    """The packaged digit classifier as an extractor."""

    def __init__(self, backend: str, device: str) -> None:
        self.classifier = DigitClassifier(backend, device)
        self.protocol: dict[str, Scalar] = {
            "extractor": "digits",
            "extractor_sha256": self.classifier.sha256,
            "resize": RESIZE,
            "extractor_dtype": self.classifier.dtype,
        }

    def __call__(self, pixels: np.ndarray) -> Features:
        return Features(*self.classifier(as_digits(pixels)))


class InceptionExtractor:
    """The Inception network of FID, of the package torch-fidelity.

    It enlarges images to 299x299 pixels as TensorFlow 1 did, bilinearly; grey becomes three equal channels. Features are those of
    its last average pooling, logits those without the bias, as torch-fidelity's own FID and IS read them.

    Args:
        weights: content of the file of weights, whose SHA-256 has been compared.
        device: where it is evaluated.

    Raises:
        UserError: torch-fidelity or one of its own requirements is not installed.
    """

    def __init__(self, weights: bytes, device: str) -> None:
        self.torch = _torch()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise UserError(
                f"the extractor inception needs torch-fidelity, and {error.name or error} is not installed; "
                "install it with: pip install 'ganspec[quality]'"
            ) from None
        # It reads the weights with torch.load, which since PyTorch 2.6 reads weights only.
        options = {"feature_extractor_weights_path": io.BytesIO(weights), "feature_extractor_internal_dtype": "float32"}
        known = inspect.signature(FeatureExtractorInceptionV3.__init__).parameters
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat",
            ["2048", "logits_unbiased"],
            **{key: value for key, value in options.items() if key in known},
        ).to(device)
        self.device = device
        self.protocol: dict[str, Scalar] = {
            "extractor": "inception",
            "extractor_sha256": hashlib.sha256(weights).hexdigest(),
            "resize": "299x299, bilinear as in TensorFlow 1; grey in three channels",
            "extractor_dtype": "float32",
            "torch_fidelity_version": _version("torch-fidelity"),
        }

    def __call__(self, pixels: np.ndarray) -> Features:
        found = []
        with self.torch.no_grad():
            for start in range(0, len(pixels), _AT_ONCE):
                given = self.torch.from_numpy(_in_colour(pixels[start : start + _AT_ONCE])).to(self.device)
                found.append([part.cpu().numpy() for part in self.network(given)])
        features, logits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Features(features, logits)


def inception_weights(path: Path | None, *, download: bool) -> bytes:
    """Read the weights of the Inception network.

    Args:
        path: file of the weights; None for the one in the cache folder.
        download: whether a missing one may be fetched into the cache folder.

    Returns: the file's content, which is the published one.

    Raises:
        UserError: it is not there, or is another file.
    """
    try:
        chosen = path or cache_folder() / "extractors" / INCEPTION.name
        if path is None and download:
            chosen = download_file(INCEPTION, chosen.parent, progress=sys.stderr.isatty())
    except DataError as error:
        raise UserError(str(error)) from None
    try:
        content = read_regular_file(chosen, INCEPTION.size)
    except FileNotFoundError:
        raise UserError(
            f"{chosen}: is not there: the weights of the Inception network, {INCEPTION.size / 1e6:.0f} MB; fetch them with "
            f"--download, or give the file with --extractor-weights FILE; it is {INCEPTION.urls[0]}"
        ) from None
    except OSError as error:
        raise UserError(f"{chosen}: cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise UserError(f"{chosen}: {error}: it is not {INCEPTION.name}") from None
    if hashlib.sha256(content).hexdigest() != INCEPTION.sha256:
        raise UserError(
            f"{chosen}: is not {INCEPTION.name}, whose SHA-256 is {INCEPTION.sha256}; fetch it again from {INCEPTION.urls[0]}"
        )
    return content


class ScriptExtractor:
    """A TorchScript module as an extractor.

    It is called in evaluation mode with uint8 images (N, 3, height, width) of the data's own size; grey becomes three equal
    channels. It gives features (N, d), or (features, logits). One whose `forward` has an argument `return_features`, as NVIDIA's
    "inception-2015-12-05.pt" has, is called with that set.

    Args:
        path: path of the file.
        device: where it is evaluated.

    Raises:
        UserError: the file is missing, too large, or no TorchScript module.
    """

    def __init__(self, path: Path, device: str) -> None:
        self.torch, self.path, self.device = _torch(), path, device
        try:
            content = read_regular_file(path, MAX_SCRIPT_BYTES)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {reason(error)}; give the path of a TorchScript file") from None
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that TorchScript will be succeeded by something else
                self.module = self.torch.jit.load(io.BytesIO(content), map_location=device).eval()
        except (RuntimeError, ValueError, EOFError) as error:
            said = str(error).strip().split("\n")[0][:200]
            raise UserError(f"{path}: is not a TorchScript file: {said}; make one with torch.jit.save") from None
        arguments = [each.name for each in self.module.forward.schema.arguments]
        self.options = {"return_features": True} if "return_features" in arguments else {}
        self.protocol: dict[str, Scalar] = {
            "extractor": path.name,
            "extractor_sha256": hashlib.sha256(content).hexdigest(),
            "resize": "none: uint8 images of the data's size, grey in three channels",
        }

    def __call__(self, pixels: np.ndarray) -> Features:
        features, logits = [], []
        with self.torch.no_grad():
            for start in range(0, len(pixels), _AT_ONCE):
                given = _in_colour(pixels[start : start + _AT_ONCE])
                found = self._given(self.torch.from_numpy(given).to(self.device))
                features.append(self._checked(found[0], len(given)))
                logits += [self._checked(part, len(given)) for part in found[1:]]
        return Features(np.concatenate(features), np.concatenate(logits) if logits else None)

    def _given(self, pixels: Any) -> tuple[Any, ...]:
        """Returns: what the module gives: features, and perhaps logits."""
        try:
            found = self.module(pixels, **self.options)
        except RuntimeError as error:
            said = str(error).strip().split("\n")[-1][:200]
            shape = list(pixels.shape)
            raise UserError(f"{self.path}: does not take uint8 images of the shape {shape}: {said}") from None
        found = found if isinstance(found, tuple) else (found,)
        if not 1 <= len(found) <= 2:
            raise UserError(f"{self.path}: gives {len(found)} values, expected features, or features and logits")
        return found

    def _checked(self, found: Any, count: int) -> np.ndarray:
        """Returns: an output of the module as (count, d) finite numbers."""
        shape = list(found.shape) if hasattr(found, "shape") else type(found).__name__
        right = isinstance(shape, list) and len(shape) == 2 and shape[0] == count and 1 <= shape[1] <= _MAX_FEATURES
        if not right or not found.is_floating_point():
            raise UserError(
                f"{self.path}: gives {shape} for {count} images, expected {count} rows of floating-point numbers"
            )
        values: np.ndarray = found.double().cpu().numpy()
        if not np.isfinite(values).all():
            raise UserError(f"{self.path}: gives numbers that are not finite")
        return values


def _in_colour(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:])))


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(
            "this extractor needs PyTorch, which is not installed; install it with: pip install 'ganspec[torch,quality]'"
        ) from None
    return torch


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
