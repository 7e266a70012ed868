"""Train the digit classifier that ships with ganspec, and write its file:

    python -m ganspec.tools.quality.train_digit_classifier --data FOLDER

FOLDER has the four files of MNIST (LeCun et al. 1998). The 60,000 training images train it; the 10,000 test images, which are
the digits that ship with ganspec, are only counted at the end: the classifier has never seen what a run by default trains on.

Every epoch shows each training image once, in batches, each of which is moved by -2 to 2 pixels along either axis. Adam follows
the mean of the cross entropy, -log softmax(logits)[y], at a learning rate that falls as half a cosine. All that is random comes
from the spec's streams. The same machine with the same PyTorch gives the same file; another one, whose sums round differently,
gives a file that is as good.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.data import Dataset, load
from ganspec.tools.data.errors import DataError
from ganspec.tools.errors import FAILED, UserError, say
from ganspec.tools.quality.digits import CLASSES, FORMAT, WEIGHTS, architecture

TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"
SHIFT = 2  # pixels
BATCH = 100
EPOCHS = 15
LEARNING_RATE = 0.002
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def train(data: Dataset, epochs: int, seed: int) -> dict[str, np.ndarray]:
    """Train the classifier.

    Args:
        data: images uint8 (N, 1, 28, 28), and labels.
        epochs: number of times that each image is seen.
        seed: seed of initial weights, order and shifts.

    Returns: its weights by path, float16.
    """
    import torch

    from ganspec.impl_torch.network import Network

    assert data.labels is not None
    torch.use_deterministic_algorithms(True)
    network = Network(architecture(), "digits", seed)
    betas = (BETA1, BETA2)
    adam = torch.optim.Adam(
        network.parameters(), LEARNING_RATE, betas, EPSILON, weight_decay=0.0, amsgrad=False, foreach=False
    )
    streams, steps = Streams(seed), len(data.images) // BATCH
    padded = np.pad(data.images, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    for epoch in range(epochs):
        order = streams.permutation("order", Position(epoch), len(data.images))
        words = streams.words("shifts", Position(epoch), 2 * steps)
        down, across = (words % np.uint64(2 * SHIFT + 1)).astype(int).reshape(2, steps)
        losses = []
        for step in range(steps):
            # Half a cosine, from the full rate to zero.
            done = (epoch * steps + step) / (epochs * steps)
            adam.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1.0 + math.cos(math.pi * done))
            # A batch moves as one; the next one moves otherwise.
            chosen = order[step * BATCH : (step + 1) * BATCH]
            top, left = down[step], across[step]
            x = padded[chosen, :, top : top + data.images.shape[2], left : left + data.images.shape[3]]
            logits = network(torch.from_numpy(x.astype(np.float32) / 255.0))["logits"]
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.labels[chosen]))
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: mean cross entropy {np.mean(losses):.4f}", flush=True)
    return {
        path.replace(".", "/"): value.detach().numpy().astype(np.float16) for path, value in network.named_parameters()
    }


def correct(data: Dataset, weights: dict[str, np.ndarray]) -> int:
    """Returns: how many images of a data set the classifier recognises with these weights."""
    import torch

    from ganspec.impl_torch.network import Network

    network = Network(architecture(), "digits").eval()
    network.load_state_dict(
        {path.replace("/", "."): torch.from_numpy(w.astype(np.float32)) for path, w in weights.items()}
    )
    with torch.no_grad():
        logits = network(torch.from_numpy(data.images.astype(np.float32) / 255.0))["logits"].numpy()
    return int((logits.argmax(axis=1) == data.labels).sum())


def main() -> int:
    """Train on the command line's data. Returns: the exit code."""
    parser = argparse.ArgumentParser(description="train the digit classifier that ships with ganspec")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the folder of MNIST's four files")
    parser.add_argument("--out", type=Path, default=WEIGHTS, metavar="FILE", help="default: the packaged file")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"default: {EPOCHS}")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    arguments = parser.parse_args()
    try:
        sets = [load(arguments.data / name, shape=(1, 28, 28), fit="exact") for name in (TRAIN, TEST)]
        for data in sets:
            if data.labels is None or data.labels.min() < 0 or data.labels.max() >= CLASSES:
                raise UserError(
                    f"{data.source}: has no labels from 0 to 9; put MNIST's files of labels beside the images"
                )
    except (DataError, UserError) as error:
        say(str(error))
        return FAILED
    weights = train(sets[0], arguments.epochs, arguments.seed)
    right = correct(sets[1], weights)
    about = {
        "format": FORMAT,
        "trained_on": sets[0].fingerprint,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
        "tested_on": sets[1].fingerprint,
        "tested": len(sets[1].images),
        "correct": right,
    }
    content = save(weights, {"ganspec": json.dumps(about, sort_keys=True)})
    write_atomically(arguments.out, content)
    print(f"{arguments.out}: {len(content):,} bytes, {right:,} of {len(sets[1].images):,} test digits are right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
