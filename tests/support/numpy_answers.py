"""A tiny implementation of somebody's own: a few kinds of case in plain NumPy, written from the definitions."""

import numpy as np


def layer(case):
    kind, settings, given = case["layer"]["kind"], case["layer"]["settings"], case["given"]
    x, c = given["inputs/0"], given["weights"]
    if kind == "linear" and not settings:
        w, g = given["parameters/W"], c @ given["parameters/W"]
        answers = {
            "output": x @ w.T + given.get("parameters/b", 0.0),
            "gradients": {"inputs": {"0": g}, "parameters": {"W": c.T @ x, "b": c.sum(axis=0)}},
            "penalty": (g**2).sum(),
            "penalty_gradients": {"inputs": {"0": 0 * x}, "parameters": {"W": 2 * c.T @ g, "b": 0 * c[0]}},
        }
    elif kind in ("relu", "leaky_relu"):
        slope = np.where(x > 0, 1.0, settings.get("slope", 0.0))
        answers = {
            "output": slope * x,
            "gradients": {"inputs": {"0": slope * c}},
            "penalty": ((slope * c) ** 2).sum(),
            "penalty_gradients": {"inputs": {"0": 0 * x}},
        }
    elif kind == "tanh":
        y = np.tanh(x)
        g = c * (1 - y**2)
        answers = {
            "output": y,
            "gradients": {"inputs": {"0": g}},
            "penalty": (g**2).sum(),
            "penalty_gradients": {"inputs": {"0": -4 * g**2 * y}},
        }
    else:
        raise NotImplementedError(kind)
    return flat(answers)


def optimizer(case):
    keys, given, answers = case["optimizer"], case["given"], {}
    clip, adam = keys.get("clip"), keys["kind"] == "adam"
    for name in ("W", "b"):
        p, m, v = given[f"parameters/{name}"], 0.0, 0.0 if adam else keys["start"]
        for t in range(1, case["updates"] + 1):
            g, rate, epsilon = given[f"gradients/{t - 1}/{name}"], keys["learning_rate"], keys["epsilon"]
            if clip and clip["when"] == "before":
                p = np.clip(p, -clip["bound"], clip["bound"])
            if adam:
                m = keys["beta1"] * m + (1 - keys["beta1"]) * g
                v = keys["beta2"] * v + (1 - keys["beta2"]) * g**2
                first, second = 1 - keys["beta1"] ** t, 1 - keys["beta2"] ** t
                if keys["epsilon_place"] == "corrected":
                    p = p - rate * (m / first) / (np.sqrt(v / second) + epsilon)
                else:
                    p = p - rate * np.sqrt(second) / first * m / (np.sqrt(v) + epsilon)
                answers[f"after/{t}/moments/m/{name}"] = m
            else:
                v = keys["decay"] * v + (1 - keys["decay"]) * g**2
                inside = keys["epsilon_place"] == "inside"
                p = p - rate * g / (np.sqrt(v + epsilon) if inside else np.sqrt(v) + epsilon)
            if clip and clip["when"] == "after":
                p = np.clip(p, -clip["bound"], clip["bound"])
            answers[f"after/{t}/moments/v/{name}"] = v
            answers[f"after/{t}/parameters/{name}"] = p
    return answers


def system(case):
    raise NotImplementedError


def flat(answers, path=""):
    """Returns: nested dictionaries as one, whose keys are paths."""
    if not isinstance(answers, dict):
        return {path: answers}
    return {n: a for key, inner in answers.items() for n, a in flat(inner, f"{path}/{key}".strip("/")).items()}
