"""The digit classifier that ships with ganspec: features of digits, and which digit each is.

`digit_classifier.toml` is its network, an architecture file like any other, so that either backend and the reference evaluate it
and give the same numbers, to rounding. `digit_classifier.safetensors` has its weights, in float16, and beside them what they were
trained on and how many of MNIST's 10,000 test digits they recognise. `train_digit_classifier` made it.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library, SpecFile, read_file
from ganspec.tools import backends
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fitting import fitted
from ganspec.tools.errors import UserError

_FOLDER = Path(__file__).resolve().parent
ARCHITECTURE = _FOLDER / "digit_classifier.toml"
WEIGHTS = _FOLDER / "digit_classifier.safetensors"
FORMAT = "ganspec digit classifier 1"
CLASSES = 10
SIDE = 28  # pixels of a digit
RESIZE = "28x28: 32x32 loses a border of 2 pixels, other sizes by Lanczos; colour becomes grey by its ITU-R 601 luma"
_AT_ONCE = 500  # images per evaluation


@cache
def architecture() -> Architecture:
    """Returns: the classifier's network, with the outputs "features" and "logits"."""
    problems = Problems()
    file = SpecFile(ARCHITECTURE.name, read_file(ARCHITECTURE, ARCHITECTURE.name), ARCHITECTURE.stem)
    network = read_architecture(file, Library(), {}, problems)
    problems.stop_if_any()
    return network


def as_digits(pixels: np.ndarray) -> np.ndarray:
    """Bring images to the classifier's input.

    32x32 pixels lose a border of two, which is what `data.fit = "pad"` adds to digits; other sizes are resized as `data.fit =
    "resize"` does it.

    Args:
        pixels: uint8 (N, 1 or 3, height, width).

    Returns: float32 (N, 1, 28, 28), black 0 and white 1.

    Raises:
        UserError: they cannot become digits.
    """
    if pixels.shape[2:] == (SIDE + 4, SIDE + 4):
        pixels = pixels[:, :, 2:-2, 2:-2]
    try:
        return fitted(np.ascontiguousarray(pixels), (1, SIDE, SIDE), "resize").astype(np.float32) / np.float32(255)
    except DataError as error:
        raise UserError(f"the digit classifier cannot look at these images: {error}") from None


class DigitClassifier:
    """The packaged classifier in one of the backends.

    Args:
        backend: "torch", "chainer" or "reference"; another package's backend is left to the reference.
        device: where it is evaluated, as the backend names it; the reference has the CPU only.
        dtype: "float32" or "float64".

    Raises:
        UserError: the backend's framework is missing, or the file of weights is damaged.
    """

    def __init__(self, backend: str = "torch", device: str = "cpu", dtype: str = "float32") -> None:
        self.backend = backend if backend in backends.NAMES else "reference"
        self.device, self.dtype = device, dtype
        self.weights, self.sha256, self.about = _read_weights()

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look at digits.

        Args:
            images: (N, 1, 28, 28), black 0 and white 1.

        Returns: features (N, 64) and logits (N, 10), in `dtype`.
        """
        parts = [self._evaluate(images[i : i + _AT_ONCE]) for i in range(0, len(images), _AT_ONCE)]
        return np.concatenate([p["features"] for p in parts]), np.concatenate([p["logits"] for p in parts])

    def _evaluate(self, images: np.ndarray) -> dict[str, np.ndarray]:
        if self.backend == "reference":
            return self._evaluate_by_reference(images)
        module, (context, parameters) = self._module, self._placed
        with self._without_graph():
            mode = self._mode(False, _no_mask, (1.0, 0.0), context.floating)
            given = module.evaluate(architecture(), parameters, {}, [context.array(images)], mode)
        return {name: module.to_numpy(value) for name, value in given.items()}

    def _evaluate_by_reference(self, images: np.ndarray) -> dict[str, np.ndarray]:
        from ganspec.spec.reference.jets import jet
        from ganspec.spec.reference.layers import evaluate_layers
        from ganspec.spec.reference.mode import Evaluation

        parameters = {path: jet(values) for path, values in self.weights.items()}
        how = Evaluation(False, 0.0, _no_mask, {}, {})
        layers = evaluate_layers(architecture(), parameters, [jet(images)], how)
        return {name: layers[layer].f[0].astype(self.dtype) for name, layer in architecture().outputs.items()}

    @cached_property
    def _module(self) -> Any:
        return backends.load(self.backend)

    @cached_property
    def _placed(self) -> tuple[Any, dict[str, Any]]:
        context = self._module.ArrayContext(self.device, self.dtype)
        return context, {path: context.array(values) for path, values in self.weights.items()}

    def _mode(self, *arguments: Any) -> Any:
        if self.backend == "torch":
            from ganspec.impl_torch.mode import Mode

            return Mode(*arguments)
        from ganspec.impl_chainer.mode import Mode as ChainerMode

        return ChainerMode(*arguments)

    def _without_graph(self) -> Any:
        if self.backend == "torch":
            import torch

            return torch.no_grad()
        import chainer

        return chainer.no_backprop_mode()


@cache
def _read_weights() -> tuple[dict[str, np.ndarray], str, dict[str, Any]]:
    """Returns: the weights by path, the SHA-256 of their file, and what the file says of them."""
    try:
        digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
        with safe_open(WEIGHTS, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["ganspec"])
            weights = {path: file.get_tensor(path) for path in file.keys()}  # noqa: SIM118 (not a dictionary)
        if about["format"] != FORMAT:
            raise ValueError(f"it has the format {about['format']!r}, expected {FORMAT!r}")
        wanted = {path: parameter.shape for path, parameter in architecture().parameter_paths().items()}
        if {path: values.shape for path, values in weights.items()} != wanted:
            raise ValueError("its weights are not those of digit_classifier.toml")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{WEIGHTS}: {error}; this file comes with ganspec: install ganspec again") from None
    return {path: values.astype(np.float32) for path, values in weights.items()}, digest, about


def _no_mask(*_: Any) -> Any:
    raise NotImplementedError("the classifier has no dropout")
