"""Weights by neutral names, as a safetensors file: of no framework, with everything that evaluating them takes.

Names are those of checkpoints, such as "G/l1/W". The file's metadata has one key, "ganspec": JSON with inputs and their
distributions, outputs, the range of images, where the weights come from, and under "architecture" every layer with its settings.
Weights are as the checkpoint has them: a gain, or a spectral norm with its vector u, is a setting of the layer.
"""

from __future__ import annotations

import json

import numpy as np
from safetensors.numpy import save

from ganspec.tools.exporting.model import Model


def neutral_file(model: Model) -> bytes:
    """Returns: the content of a safetensors file."""
    held = [
        f"{layer.name}/{array.name}"
        for layer in model.original.layers
        for array in (*layer.parameters, *layer.statistics)
    ]
    facts = {**model.facts, "fade": model.fade, "architecture": model.description}
    arrays = {f"{model.name}/{path}": np.ascontiguousarray(model.whole[path]) for path in held}
    return save(arrays, {"ganspec": json.dumps(facts)})
