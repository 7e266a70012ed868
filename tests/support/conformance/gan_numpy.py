"""A least-squares GAN of two tiny networks in plain NumPy, its gradients derived by hand."""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]


def networks() -> tuple[Arrays, Arrays]:
    """Weights are (inputs, outputs), as NumPy code likes them."""
    generator = {"W": np.zeros((2, 4)), "b": np.zeros(4)}
    discriminator = {"W1": np.zeros((4, 3)), "b1": np.zeros(3), "W2": np.zeros((3, 1)), "b2": np.zeros(1)}
    return generator, discriminator


MAPPING = {
    "G": {"l/W": "W", "l/b": "b"},
    "D": {"l1/W": "W1", "l1/b": "b1", "l2/W": "W2", "l2/b": "b2"},
}


class Lsgan:
    """Both networks are updated at once, by Adam."""

    def __init__(self, generator: Arrays, discriminator: Arrays, rate: float = 0.01) -> None:
        self.g, self.d, self.rate = generator, discriminator, rate
        self.rng = np.random.default_rng(1)
        self.t, self.m, self.v = 0, {}, {}

    def adam(self, name: str, network: Arrays, gradients: Arrays) -> None:
        for key, gradient in gradients.items():
            m = self.m[name, key] = 0.5 * self.m.get((name, key), 0.0) + 0.5 * gradient
            v = self.v[name, key] = 0.9 * self.v.get((name, key), 0.0) + 0.1 * gradient**2
            step = m / (1 - 0.5**self.t) / (np.sqrt(v / (1 - 0.9**self.t)) + 1e-8)
            network[key] = network[key] - self.rate * step

    def judge(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.tanh(x @ self.d["W1"] + self.d["b1"])
        return hidden, hidden @ self.d["W2"] + self.d["b2"]

    def back(self, x: np.ndarray, hidden: np.ndarray, by_score: np.ndarray) -> tuple[Arrays, np.ndarray]:
        inside = by_score @ self.d["W2"].T * (1 - hidden**2)
        gradients = {"W1": x.T @ inside, "b1": inside.sum(0), "W2": hidden.T @ by_score, "b2": by_score.sum(0)}
        return gradients, inside @ self.d["W1"].T

    def __call__(self, x: np.ndarray) -> dict[str, float]:
        n, x = len(x), x.reshape(len(x), -1)
        z = self.rng.standard_normal((n, 2))
        fake = z @ self.g["W"] + self.g["b"]
        (hidden_x, score_x), (hidden_f, score_f) = self.judge(x), self.judge(fake)
        loss_d = ((score_x - 1) ** 2).mean() / 2 + (score_f**2).mean() / 2
        loss_g = ((score_f - 1) ** 2).mean() / 2
        real, _ = self.back(x, hidden_x, (score_x - 1) / n)
        other, _ = self.back(fake, hidden_f, score_f / n)
        _, by_fake = self.back(fake, hidden_f, (score_f - 1) / n)
        self.t += 1
        self.adam("D", self.d, {key: real[key] + other[key] for key in real})
        self.adam("G", self.g, {"W": z.T @ by_fake, "b": by_fake.sum(0)})
        return {"loss_D": loss_d, "loss_G": loss_g}
