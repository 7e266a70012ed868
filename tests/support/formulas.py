"""The packaged losses as NumPy formulas, written from the papers and not from the loss files, of tiny networks.

A formula has two sets of parameters, `p` and `q`, with equal values: what a loss holds constant is computed from `q`, so that
differences in `p` give the gradient that the loss means. `d` are the draws. A formula returns the loss of each network by
its role, and reports.
"""

from __future__ import annotations

import numpy as np

LABELS = 4

mean, log, exp = np.mean, np.log, np.exp


def sigmoid(a):
    return 1 / (1 + exp(-a))


def norm(v):
    return np.sqrt((v.reshape(len(v), -1) ** 2).sum(axis=1))


def hot(y):
    return np.eye(LABELS)[y]


def G(p, z, y=None):
    given = z if y is None else np.concatenate([z, hot(y)], axis=1)
    return (given @ p["G/l/W"].T + p["G/l/b"]).reshape(-1, 1, 2, 2)


def hidden(p, x, y=None, role="D"):
    flat = x.reshape(len(x), -1)
    given = flat if y is None else np.concatenate([flat, hot(y)], axis=1)
    return np.tanh(given @ p[f"{role}/l1/W"].T + p[f"{role}/l1/b"])


def D(p, x, y=None, role="D"):
    out = hidden(p, x, y, role) @ p[f"{role}/l2/W"].T + p[f"{role}/l2/b"]
    return out[:, 0] if out.shape[1] == 1 else out


def slope(p, x, y=None, along=1.0):
    """The gradient of the sum of `along` D(x) with respect to x, sample by sample."""
    back = (along * np.ones((len(x), 1))) @ p["D/l2/W"] if np.ndim(along) == 0 else along @ p["D/l2/W"]
    return (back * (1 - hidden(p, x, y) ** 2)) @ p["D/l1/W"][:, :4]


def one_centred(gradient, target=1.0):
    return mean((norm(gradient) - target) ** 2)


def cross_entropy(logits, label):
    probabilities = exp(logits) / exp(logits).sum(axis=1, keepdims=True)
    return -mean(log(probabilities[np.arange(len(logits)), label]))


def per_sample(v):
    return v[:, None, None, None]


def two_class(p, q, d):
    real, fake = D(p, d["x"]), D(p, G(p, d["z"]))
    right, wrong = mean(real.argmax(axis=1) == 1), mean(fake.argmax(axis=1) == 1)
    costs = {"D": cross_entropy(real, 1) + cross_entropy(fake, 0), "G": cross_entropy(fake, 1)}
    return costs | {"accuracy_D": (right + 1 - wrong) / 2, "accuracy_G": wrong}


def minimax(p, q, d):
    real, fake = sigmoid(D(p, d["x"])), sigmoid(D(p, G(p, d["z"])))
    return {"D": -(mean(log(real)) + mean(log(1 - fake))), "G": mean(log(1 - fake))}


def non_saturating(p, q, d):
    return minimax(p, q, d) | {"G": -mean(log(sigmoid(D(p, G(p, d["z"])))))}


def cgan(p, q, d):
    real, fake = sigmoid(D(p, d["x"], d["y"])), sigmoid(D(p, G(p, d["z"], d["y"]), d["y"]))
    return {"D": -(mean(log(real)) + mean(log(1 - fake))), "G": mean(log(1 - fake))}


def cgan_probabilities(p, q, d):
    real, fake = sigmoid(D(p, d["x"], d["y"])), sigmoid(D(p, G(p, d["z"], d["y"]), d["y"]))
    cost = (mean(-log(1 - fake + 1e-10)) + mean(-log(real + 1e-10))) / 2
    return {"D": cost, "G": -mean(-log(1 - fake + 1e-10)), "L_D": cost}


def wgan(p, q, d):
    real, fake = D(p, d["x"]), D(p, G(p, d["z"]))
    return {"D": mean(fake) - mean(real), "G": -mean(fake), "distance": mean(real) - mean(fake)}


def wgan_gp(p, q, d):
    found, eps = wgan(p, q, d), per_sample(d["eps"])
    penalty = one_centred(slope(p, eps * d["x"] + (1 - eps) * G(q, d["z"])))
    return found | {"D": found["D"] + 10 * penalty, "gradient_penalty": penalty}


def conditional_wgan_gp(p, q, d):
    x, y, z, c, eps = d["x"], d["y"], d["z"], d["c"], per_sample(d["eps"])
    distance = mean(D(p, x, y)) - mean(D(p, G(p, z, y), y))
    penalty = one_centred(slope(p, eps * x + (1 - eps) * G(q, z, y), y))
    found = {"D": -distance + 10 * penalty, "G": -mean(D(p, G(p, z, c), c))}
    return found | {"distance": distance, "gradient_penalty": penalty}


def hinge(p, q, d):
    real, fake = D(p, d["x"]), D(p, G(p, d["z"]))
    return {"D": mean(np.maximum(0, 1 - real)) + mean(np.maximum(0, 1 + fake)), "G": -mean(fake)}


def lsgan(p, q, d):
    real, fake = D(p, d["x"]), D(p, G(p, d["z"]))
    return {"D": mean((real - 1) ** 2) / 2 + mean(fake**2) / 2, "G": mean((fake - 1) ** 2) / 2}


def dragan(p, q, d):
    x = d["x"]
    deviation = np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0))  # of each pixel over the batch
    penalty = one_centred(slope(p, x + 0.5 * d["u"] * deviation))
    found = non_saturating(p, q, d)
    return found | {"D": found["D"] + 10 * penalty, "gradient_penalty": penalty}


def dragan_official(p, q, d):
    x = d["x"]
    penalty = one_centred(slope(p, x + per_sample(d["alpha"]) * (0.5 * x.std() * d["u"])))
    found = non_saturating(p, q, d)
    return found | {"D": found["D"] + 10 * penalty, "gradient_penalty": penalty}


def unit(v):
    return v / norm(v)[:, None]


def _cramer(p, q, d, other, along):
    """The energy distance; D's surrogate against `other`; a penalty on the way `along`, of the middle's h and a q or p."""
    eps = per_sample(d["eps"])
    x_mid = eps * d["x"] + (1 - eps) * G(q, d["z"])
    real, one, two = D(p, d["x"]), D(p, G(p, d["z"])), D(p, G(p, d["z2"]))
    surrogate = mean((norm(real - other) - norm(real)) - (norm(one - other) - norm(one)))
    penalty = one_centred(slope(p, x_mid, along=along(x_mid)))
    energy = mean(norm(real - one) + norm(real - two) - norm(one - two))
    return {"D": -surrogate + 10 * penalty, "G": energy, "gradient_penalty": penalty}


def cramer(p, q, d):
    """As Chainer-GAN-lib: the way is a constant, and D's surrogate goes through h_2."""
    two = D(q, G(q, d["z2"]))
    return _cramer(p, q, d, D(p, G(p, d["z2"])), lambda m: unit(D(q, m) - two) - unit(D(q, m)))


def cramer_paper(p, q, d):
    two = D(q, G(q, d["z2"]))
    return _cramer(p, q, d, two, lambda m: unit(D(p, m) - two) - unit(D(p, m)))


def cramer_v2(p, q, d):
    real, fake, two = D(q, d["x"]), D(q, G(q, d["z"])), D(q, G(q, d["z2"]))
    return _cramer(p, q, d, two, lambda m: unit(D(p, m) - fake) - unit(D(p, m) - real))


def began(p, q, d):
    def distance(v):
        return mean(abs(v - D(p, v).reshape(v.shape)))

    real, fake = distance(d["x"]), distance(G(p, d["z"]))
    k = min(max(0.4 + 0.001 * (0.5 * real - fake), 0), 1)
    reports = {"L_real": real, "L_fake": fake, "M": real + abs(0.5 * real - fake), "k": k}
    return {"D": real - 0.4 * fake, "G": fake} | reports


def denoising_feature_matching(p, q, d):
    def features(r, v):
        return v.reshape(len(v), -1) @ r["D/l1/W"].T + r["D/l1/b"]

    def denoised(r, f, centre, variance):
        return ((f - centre) / np.sqrt(variance + 1e-3)) @ r["R/l/W"].T + r["R/l/b"]

    f_real, f_fake = features(q, d["x"]), features(p, G(p, d["z"]))
    noisy = f_real + d["noise"]
    centre, variance, n = noisy.mean(axis=0), noisy.var(axis=0), len(noisy)
    # In inference the denoiser has its running statistics, which its own step has just moved.
    mean_0, variance_0 = d["statistics"]["mean"], d["statistics"]["variance"]
    running = 0.9 * mean_0 + 0.1 * centre, 0.9 * variance_0 + 0.1 * variance * n / (n - 1)
    constant = denoised(q, features(q, G(q, d["z"])), *running)
    found = non_saturating(p, q, d)
    target = mean((f_fake - constant) ** 2)
    return found | {"R": mean((denoised(p, noisy, centre, variance) - f_real) ** 2), "G": found["G"] + 0.03 * target}


def ac_wgan_gp(p, q, d):
    x, y, z, eps = d["x"], d["y"], d["z"], per_sample(d["eps"])
    fake = G(p, z, y)
    penalty = one_centred(slope(p, eps * x + (1 - eps) * G(q, z, y)))
    classes_real, classes_fake = D(p, x, role="C"), D(p, fake, role="C")
    return {
        "C": cross_entropy(classes_real, y),
        "G": mean(-D(p, fake)) + 100 * cross_entropy(classes_fake, y),
        "D": mean(-D(p, x)) + mean(D(p, fake)) + 10 * penalty,
        "gradient_penalty": penalty,
        "accuracy_real": mean(classes_real.argmax(axis=1) == y),
        "accuracy_fake": mean(classes_fake.argmax(axis=1) == y),
    }


def acgan(p, q, d):
    y, fake = d["y"], G(p, d["z"], d["y"])

    def head(v, name):
        return hidden(p, v) @ p[f"D/{name}/W"].T + p[f"D/{name}/b"]

    right = mean(log(sigmoid(head(d["x"], "first")))), mean(log(1 - sigmoid(head(fake, "first"))))
    classes = -cross_entropy(head(d["x"], "second"), y), -cross_entropy(head(fake, "second"), y)
    # D maximises L_S + L_C; G maximises L_C - L_S, of which it sees the fakes' halves.
    found = {"D": -(sum(right) + sum(classes)), "G": -(classes[1] - right[1])}
    found["accuracy_real"] = mean(head(d["x"], "second").argmax(axis=1) == y)
    return found | {"accuracy_fake": mean(head(fake, "second").argmax(axis=1) == y)}


def progressive_wgan_gp(p, q, d):
    small = d["x"].reshape(len(d["x"]), 1, 2, 2, 2, 2).mean(axis=(3, 5))  # real images at the size of the stage
    real, fake, eps = D(p, small), D(p, G(p, d["z"])), per_sample(d["eps"])
    penalty = one_centred(slope(p, eps * small + (1 - eps) * G(q, d["z"])), 750) / 750**2
    cost = mean(fake) - mean(real) + 0.001 * mean(real**2) + 10 * penalty
    return {"D": cost, "G": -mean(fake), "gradient_penalty": penalty}
