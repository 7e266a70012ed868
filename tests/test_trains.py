"""What packaged systems make of digits after a short training: a GAN whose numbers agree can still end in one image."""

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools import backends, data
from ganspec.tools.pictures.images import as_pixels
from ganspec.tools.quality.digits import DigitClassifier, as_digits
from ganspec.tools.quality.diversity import diversity, mean_distance
from ganspec.tools.run.feed import Feed
from ganspec.tools.sampling.latents import generate, sample_latents


def trained_samples(system, iterations):
    """Returns: 640 samples as pixels after so many iterations on the digits that ship with ganspec, and the digits."""
    digits = data.load(data.embedded_digits(), shape=system.data.shape, fit=system.data.fit)
    trainer = backends.make_trainer("torch", system, 0)
    feed = Feed(system, digits, seed=0, dtype="float32")
    for _ in range(iterations):
        trainer.iterate(feed)
    samples = as_pixels(system.data, generate(trainer, sample_latents(system, seed=1)))
    return samples.transpose(0, 3, 1, 2), digits.images


@pytest.mark.slow
def test_a_began_with_mlps_makes_all_digits_after_1500_iterations():
    pytest.importorskip("torch")
    samples, digits = trained_samples(load_system("began_mlp_mnist", ["run.grid=[20, 32]"]), 1500)
    _, logits = DigitClassifier()(as_digits(samples))
    counts = np.bincount(logits.argmax(axis=1), minlength=10)
    assert (counts > 0).sum() >= 9
    assert counts.max() < 0.4 * counts.sum()
    assert diversity(samples, mean_distance(digits[:1000])) > 0.5
