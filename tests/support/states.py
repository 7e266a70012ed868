"""States from which tests start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganspec.spec.training.state import TrainingState


def shaken_state(state: TrainingState, seed: int) -> TrainingState:
    """Returns: a state as training could have left it: no bias at 0, no statistic or state where it started."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, values in state.arrays.items():
        match name.partition("/")[0]:
            case "carried" | "reports":
                arrays[name] = generator.uniform(0.2, 0.8, values.shape)
            case "statistics" if name.endswith("/variance"):
                arrays[name] = values * generator.uniform(0.5, 2.0, values.shape)
            case "statistics":
                arrays[name] = values + generator.normal(0, 0.1, values.shape)
            case "parameters":
                arrays[name] = values + generator.normal(0, 0.02, values.shape)
            case _:
                arrays[name] = values
    return replace(state, arrays=arrays)
