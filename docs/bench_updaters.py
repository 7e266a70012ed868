"""Time Chainer-GAN-lib's own updaters beside ganspec's trainers: python docs/bench_updaters.py FOLDER [ALGORITHM ...]

FOLDER holds a copy of https://github.com/pfnet-research/chainer-gan-lib. Its updaters and networks run unmodified, on the CPU, under
`ganspec.impl_chainer.compat`; **its files are run**, so name no folder that you do not trust. Each side trains the same networks with
the same batch, optimisers and schedule, on the same random images, and fetches its batches itself. They take turns: a round times
some iterations of each, so that whatever else the machine does falls on all. The table has the medians of the rounds in
seconds per iteration, and the ratios theirs / ours, above 1 where ours is faster.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import System, load_system
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.state import initial_state
from ganspec.tools import data
from ganspec.tools.backends import NAMES, make_trainer
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.run.feed import Feed

SEED = 0
LAST_STAGE = 6  # of progressive growing: all blocks, nothing fades in
Iterate = Callable[[], Any]

# What its train.py makes for an algorithm: folder of the updater, generator, discriminator, and further models; the updater's own
# arguments, so many discriminator steps as our system has.
ALGORITHMS: dict[str, tuple[str, str, str, list[str], dict[str, Any]]] = {
    "dcgan": ("dcgan", "common.net:DCGANGenerator", "common.net:DCGANDiscriminator", [], {}),
    "wgan_gp": ("wgan_gp", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 5, "lam": 10}),
    "dragan": ("dragan", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 2, "lam": 10}),
    "cramer": ("cramer", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 5, "lam": 10}),
    "sndcgan": ("stdgan", "common.net:DCGANGenerator", "common.net:SNDCGANDiscriminator", [], {"n_dis": 1}),
    "minibatch": (
        "minibatch_discrimination", "common.net:DCGANGenerator", "minibatch_discrimination.net:Discriminator", [], {},
    ),
    "began": ("began", "common.net:DCGANGenerator", "began.net:Discriminator", [], {"gamma": 0.5}),
    "dfm": ("dfm", "common.net:DCGANGenerator", "dfm.net:Discriminator", ["dfm.net:Denoiser"], {}),
    "progressive": (
        "progressive", "progressive.net:Generator", "progressive.net:Discriminator", ["progressive.net:Generator"],
        {"n_dis": 1, "lam": 10, "gamma": 750, "smoothing": 0.999, "initial_stage": LAST_STAGE, "stage_interval": 400_000},
    ),
}  # fmt: skip
MODEL_ARGUMENTS: dict[str, dict[str, Any]] = {"began": {"use_bn": False}}
CRITIC_ARGUMENTS: dict[str, dict[str, Any]] = {"cramer": {"output_dim": 256}}


def theirs(folder: Path, algorithm: str, system: System, images: np.ndarray) -> Iterate:
    """Returns: one iteration of their updater. Args: images: uint8, (n, channels, height, width)."""
    importlib.import_module("ganspec.impl_chainer.compat")
    chainer = importlib.import_module("chainer")
    for path in (folder / "common", folder):  # as its train.py and its networks import
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    where, generator, discriminator, others, arguments = ALGORITHMS[algorithm]
    models = [_named(generator)(**MODEL_ARGUMENTS.get(algorithm, {}))]
    models.append(_named(discriminator)(**CRITIC_ARGUMENTS.get(algorithm, {})))
    models += [_named(other)() for other in others]
    optimizers = {}
    for key, network, model in zip(("opt_gen", "opt_dis", "opt_den"), ("G", "D", "R"), models, strict=True):
        if network in system.optimizers:
            a = system.optimizers[network]
            optimizers[key] = chainer.optimizers.Adam(alpha=a.learning_rate, beta1=a.beta1, beta2=a.beta2).setup(model)
    low, high = system.data.range
    batches = chainer.iterators.SerialIterator(images.astype("f") / 255 * (high - low) + low, system.run.batch)
    updater = _named(f"{where}.updater:Updater")(
        iterator={"main": batches}, optimizer=optimizers, models=models, device=-1, **arguments
    )
    return updater.update_core


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
