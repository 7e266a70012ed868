"""Numbers that say how good samples are, from features of samples and of images.

FID, KID and IS are computed by torchmetrics, in float64, from features that we give it: any extractor of any framework serves.
Precision, recall, density and coverage are computed in `neighbours`, for torchmetrics does not have them.

    fid  |m_x - m_y|^2 + trace(C_x + C_y - 2 (C_x C_y)^(1/2)), means and covariances of features.
         Heusel et al. 2017, arXiv:1706.08500, section 2.
    kid  the unbiased estimate of the squared maximum mean discrepancy with the kernel (a.b / d + 1)^3, mean over subsets.
         Binkowski et al. 2018, arXiv:1801.01401, section 4.
    is   exp mean_y KL(p(c | y) || p(c)), mean over 10 parts of the samples. Salimans et al. 2016, arXiv:1606.03498, section 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ganspec.tools.errors import UserError
from ganspec.tools.quality.neighbours import DENSITY_NEIGHBOURS, NEEDED, PRECISION_NEIGHBOURS, neighbour_figures

NEIGHBOUR_METRICS = ("precision", "recall", "density", "coverage")
KID_SUBSET, KID_SUBSETS = 1_000, 100
IS_PARTS = 10
LEAST = {"fid": 2, "kid": 2, "is": IS_PARTS, **dict.fromkeys(NEIGHBOUR_METRICS, NEEDED)}  # samples, and images
WITH_TORCH = ("fid", "kid", "is")


@dataclass(frozen=True)
class Features:
    """What an extractor sees in images.

    Args:
        features: (N, d).
        logits: (N, classes), the logarithms of the classes' probabilities but for a constant; None where it knows no classes.
    """

    features: np.ndarray
    logits: np.ndarray | None


def measure(metrics: Iterable[str], images: Features, samples: Features, seed: int) -> dict[str, float]:
    """Measure samples.

    Args:
        metrics: names of metrics, of `spec.parts.measuring.METRICS`.
        images: features of images.
        samples: features of samples; "is" reads their logits.
        seed: seed of KID's subsets and of the parts of IS.

    Returns: the value of each metric, in their order.

    Raises:
        UserError: torchmetrics is missing, there are too few images or samples, or the extractor gives no logits for "is".
    """
    metrics = list(metrics)
    for name in metrics:
        for what, number in (("samples", len(samples.features)), ("images", len(images.features))):
            if number < LEAST[name] and not (name == "is" and what == "images"):
                raise UserError(
                    f"{name} needs at least {LEAST[name]} {what}, and there are {number}; give more (--n COUNT)"
                )
    if "is" in metrics and samples.logits is None:
        raise UserError("is needs probabilities of classes, and this extractor gives features only; leave it out")
    found: dict[str, float] = {}
    if not set(metrics).isdisjoint(NEIGHBOUR_METRICS):
        found |= neighbour_figures(images.features, samples.features)
    if not set(metrics).isdisjoint(WITH_TORCH):
        found |= _by_torchmetrics(metrics, images, samples, seed)
    return {name: found[name] for name in metrics}


def details(images: int, samples: int) -> dict[str, int]:
    """Returns: what metrics add to a protocol, given the numbers of images and samples: the same whichever are measured."""
    subset, subsets = _kid_subsets(images, samples)
    return {
        "kid_subset": subset,
        "kid_subsets": subsets,
        "is_parts": IS_PARTS,
        "precision_neighbours": PRECISION_NEIGHBOURS,
        "density_neighbours": DENSITY_NEIGHBOURS,
    }


def library_versions() -> dict[str, str]:
    """Returns: the versions of the libraries that compute metrics, of those that are installed."""
    found = {}
    for package in ("numpy", "torch", "torchmetrics"):
        with suppress(PackageNotFoundError):
            found[f"{package}_version"] = version(package)
    return found


def require_torchmetrics() -> None:
    """Raises: UserError: torchmetrics, or PyTorch, is not installed."""
    _torchmetrics()


def _by_torchmetrics(metrics: list[str], images: Features, samples: Features, seed: int) -> dict[str, float]:
    torch, library = _torchmetrics()
    given = torch.nn.Identity()  # the "images" are features already
    given.num_features = images.features.shape[1]
    real, fake = (torch.from_numpy(each.features.astype(np.float64)) for each in (images, samples))
    found = {}
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that features are kept in memory, where they are already
        torch.manual_seed(seed % 2**63)
        if "fid" in metrics:
            found["fid"] = _distance(library.fid.FrechetInceptionDistance(feature=given), real, fake)
        if "kid" in metrics:
            subset, subsets = _kid_subsets(len(real), len(fake))
            kid = library.kid.KernelInceptionDistance(
                feature=given, subsets=subsets, subset_size=subset, degree=3, gamma=None, coef=1.0
            )
            found["kid"] = _distance(kid, real, fake)
        if "is" in metrics:
            score = library.inception.InceptionScore(feature=given, splits=IS_PARTS)
            assert samples.logits is not None
            score.update(torch.from_numpy(samples.logits.astype(np.float64)))
            found["is"] = float(score.compute()[0])
    return found


def _distance(metric: Any, real: Any, fake: Any) -> float:
    metric.update(real, real=True)
    metric.update(fake, real=False)
    value = metric.compute()
    return float(value[0] if isinstance(value, tuple) else value)


def _kid_subsets(images: int, samples: int) -> tuple[int, int]:
    """Returns: the size and number of KID's subsets; a subset that is everything is taken once."""
    size = min(KID_SUBSET, images, samples)
    return size, 1 if size == images == samples else KID_SUBSETS


def _torchmetrics() -> tuple[Any, Any]:
    try:
        import torch
        import torchmetrics.image.fid
        import torchmetrics.image.inception
        import torchmetrics.image.kid
    except ImportError as error:
        name = (error.name or str(error)).partition(".")[0]
        missing, extra = ("PyTorch", "ganspec[torch,quality]") if name == "torch" else (name, "ganspec[quality]")
        remedy = f"install it with: pip install '{extra}'"
        raise UserError(f"fid, kid and is need torchmetrics, and {missing} is not installed; {remedy}") from None
    return torch, torchmetrics.image
