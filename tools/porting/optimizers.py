"""Chainer's optimisers in PyTorch: their next updates are those that Chainer 7.8.1 would make.

The file imports torch alone. `optimizer_source` (in `optimizers_written.py`) copies the classes that a port needs out of it.
A state has Chainer's names (m, v, ms, t...), so that it is carried in both directions without a change. PyTorch's own classes
of these names differ: in the place of epsilon, in what a learning rate multiplies, in parameters without a gradient.

Each operation stands in Chainer's order, so that one rounding follows the other as it does there.
"""

import math

import torch


class ChainerOptimizer(torch.optim.Optimizer):
    """What Chainer's optimisers have in common.

    A parameter without a gradient is updated with a gradient of zeros: its moments decay and its count t advances. A parameter
    that requires no gradient is left alone. A parameter that the model holds under two names is updated twice.

    Args:
        named_parameters: `model.named_parameters(remove_duplicate=False)`, of float32 or float64.
        hooks: what changes the gradients before each update, in this order.
        hyperparameters: numbers and switches of the class, by name, all of them; each is a key of the parameter group.

    Raises:
        TypeError: a hyperparameter is missing or unknown, or a parameter is of another dtype.
    """

    hyperparameters = ()  # names
    arrays = ()  # names of the arrays in a parameter's state: Chainer's; all are 0 at first, but for
    ones = ()

    def __init__(self, named_parameters, *, hooks=(), **hyperparameters):
        if wrong := sorted(hyperparameters.keys() ^ set(self.hyperparameters)):
            problem = "is unknown" if wrong[0] in hyperparameters else "is missing; there are no defaults"
            raise TypeError(f"{type(self).__name__}: the hyperparameter {wrong[0]} {problem}")
        self.names = {}  # of each parameter all names, in the model's order
        self.hooks = list(hooks)
        super().__init__(list(named_parameters), {**hyperparameters, "t": 0, "epoch": 0})

    def add_param_group(self, param_group):
        """Add parameters with hyperparameters of their own: {"params": [(name, parameter)...], "lr": 0.1}."""
        added = {}
        for name, p in param_group["params"]:
            if p.dtype not in (torch.float32, torch.float64):
                raise TypeError(f"{name} is of {p.dtype}; expected float32 or float64: convert the model first")
            self.names.setdefault(p, []).append(name)
            added.setdefault(p, name)
        super().add_param_group({**param_group, "params": [(name, p) for p, name in added.items()]})

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters once, as `optimizer.update()` does after `backward()`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        updates = [(p, g) for g in self.param_groups for p in g["params"] if p.requires_grad for _ in self.names[p]]
        for p, _ in updates:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        for hook in self.hooks:
            hook([p for p, _ in updates])
        for group in self.param_groups:
            group["t"] += 1
        for p, group in updates:
            state = self.state[p]
            for name in self.arrays:
                if name not in state:
                    state[name] = torch.ones_like(p) if name in self.ones else torch.zeros_like(p)
            state["t"] = state.get("t", 0) + 1
            self.update(p, p.grad, state, group)
        return loss

    def carry(self, arrays):
        """Take the state that `carried` returned, or that was carried from a snapshot of Chainer.

        Args:
            arrays: "t" and "epoch" of the optimiser; for each parameter "NAME/t", and its arrays such as "NAME/m".

        Raises:
            ValueError: something is not there, has another shape, or belongs to another model or optimiser.
        """
        names = {name: p for p, names in self.names.items() for name in names}
        wanted = {"t", "epoch", *(f"{name}/{key}" for name in names for key in ("t", *self.arrays))}
        if unknown := sorted(arrays.keys() - wanted):
            raise ValueError(f"{unknown[0]} is of another model or optimiser: this one has no such array")
        if missing := sorted({"t", "epoch", *(f"{name}/t" for name in names)} - arrays.keys()):
            raise ValueError(f"{missing[0]} is missing: these arrays are of another model or optimiser")
        states = {}
        for name, p in names.items():
            states[p] = {"t": int(arrays[f"{name}/t"])}
            for key in self.arrays:
                array = arrays.get(f"{name}/{key}")
                if array is None and states[p]["t"] == 0:
                    continue  # never updated: the first update makes it
                if array is None or array.shape != p.shape:
                    raise ValueError(f"{name}/{key} is missing or has another shape; expected {tuple(p.shape)}")
                states[p][key] = array.detach().clone().to(p)
        self.state.update(states)
        for group in self.param_groups:
            group["t"], group["epoch"] = int(arrays["t"]), int(arrays["epoch"])

    def carried(self):
        """Returns: the whole state as one table of arrays, under every name of each parameter; see `carry`."""
        first = self.param_groups[0]
        arrays = {"t": torch.tensor(first["t"]), "epoch": torch.tensor(first["epoch"])}
        for p, names in self.names.items():
            for name in names:
                arrays[f"{name}/t"] = torch.tensor(self.state[p].get("t", 0))
                present = [key for key in self.arrays if key in self.state[p]]
                arrays |= {f"{name}/{key}": self.state[p][key].detach().clone() for key in present}
        return arrays


class SGD(ChainerOptimizer):
    """p = p - lr g."""

    hyperparameters = ("lr",)

    def update(self, p, g, state, h):
        p -= h["lr"] * g


class MomentumSGD(ChainerOptimizer):
    """v = momentum v - lr g; p = p + v. The learning rate is inside v, so a change of it acts slowly."""

    hyperparameters = ("lr", "momentum")
    arrays = ("v",)

    def update(self, p, g, state, h):
        v = state["v"]
        v *= h["momentum"]
        v -= h["lr"] * g
        p += v


class CorrectedMomentumSGD(MomentumSGD):
    """v = momentum v - g; p = p + lr v."""

    def update(self, p, g, state, h):
        v = state["v"]
        v *= h["momentum"]
        v -= g
        p += h["lr"] * v


class NesterovAG(MomentumSGD):
    """v = momentum v - lr g; p = p + momentum^2 v - (1 + momentum) lr g, with the new v: what Chainer computes.

    Nesterov's method has the old v there, and torch.optim.SGD(nesterov=True) with it: another method.
    """

    def update(self, p, g, state, h):
        v, lr, momentum = state["v"], h["lr"], h["momentum"]
        v *= momentum
        v -= lr * g
        p += momentum * momentum * v
        p -= (1 + momentum) * lr * g


class AdaGrad(ChainerOptimizer):
    """h = h + g^2; p = p - lr g / (sqrt(h) + eps)."""

    hyperparameters = ("lr", "eps")
    arrays = ("h",)

    def update(self, p, g, state, h):
        state["h"] += g * g
        p -= h["lr"] * g / (state["h"].sqrt() + h["eps"])


class AdaDelta(ChainerOptimizer):
    """msg = rho msg + (1 - rho) g^2; dx = sqrt((msdx + eps) / (msg + eps)) g; msdx the same of dx; p = p - dx."""

    hyperparameters = ("rho", "eps")
    arrays = ("msg", "msdx")

    def update(self, p, g, state, h):
        msg, msdx, rho, eps = state["msg"], state["msdx"], h["rho"], h["eps"]
        msg *= rho
        msg += (1 - rho) * g * g
        dx = ((msdx + eps) / (msg + eps)).sqrt() * g
        msdx *= rho
        msdx += (1 - rho) * dx * dx
        p -= dx


class RMSprop(ChainerOptimizer):
    """ms = alpha ms + (1 - alpha) g^2; p = p - lr g / (sqrt(ms) + eps), or / sqrt(ms + eps) with eps_inside_sqrt."""

    hyperparameters = ("lr", "alpha", "eps", "eps_inside_sqrt")
    arrays = ("ms",)

    def update(self, p, g, state, h):
        ms, alpha, eps = state["ms"], h["alpha"], h["eps"]
        ms *= alpha
        ms += (1 - alpha) * g * g
        p -= h["lr"] * g / ((ms + eps).sqrt() if h["eps_inside_sqrt"] else ms.sqrt() + eps)


class RMSpropGraves(ChainerOptimizer):
    """n, g: running means of g^2 and g; delta = momentum delta - lr g / sqrt(n - g^2 + eps); p = p + delta."""

    hyperparameters = ("lr", "alpha", "momentum", "eps")
    arrays = ("n", "g", "delta")

    def update(self, p, g, state, h):
        n, mean, delta, alpha = state["n"], state["g"], state["delta"], h["alpha"]
        n *= alpha
        n += (1 - alpha) * g * g
        mean *= alpha
        mean += (1 - alpha) * g
        delta *= h["momentum"]
        delta -= h["lr"] * g / (n - mean * mean + h["eps"]).sqrt()
        p += delta


class SMORMS3(ChainerOptimizer):
    """r = 1 / (mem + 1); g, g2: means of the gradient and its square, with the weight r; x = g^2 / (g2 + eps);
    p = p - gradient min(x, lr) / (sqrt(g2) + eps); mem = 1 + mem (1 - x)."""

    hyperparameters = ("lr", "eps")
    arrays = ("mem", "g", "g2")
    ones = ("mem",)

    def update(self, p, g, state, h):
        r = 1 / (state["mem"] + 1)
        mean = (1 - r) * state["g"] + r * g
        square = (1 - r) * state["g2"] + r * g * g
        x = mean * mean / (square + h["eps"])
        p -= g * x.clamp(max=h["lr"]) / (square.sqrt() + h["eps"])
        state["mem"], state["g"], state["g2"] = 1 + state["mem"] * (1 - x), mean, square


class Adam(ChainerOptimizer):
    """Adam, and with the switches AdamW, AMSGrad, AdaBound and AMSBound.

    m = m + (1 - beta1) (g - m); v = v + (1 - beta2) (g^2 - v); with amsgrad vhat = max(vhat, v), otherwise vhat = v;
    alpha_t = alpha sqrt(1 - beta2^t) / (1 - beta1^t); step = alpha_t / (sqrt(vhat) + eps), with adabound within bounds around
    final_lr; p = (1 - eta weight_decay_rate) p - eta step m. So eps stands beside the root that is not corrected.

    `lr` is alpha: the schedulers of torch.optim want that name.
    """

    hyperparameters = ("lr", "first_lr", "beta1", "beta2", "eps", "eta", "weight_decay_rate")
    hyperparameters += ("amsgrad", "adabound", "final_lr", "gamma")

    def __init__(self, named_parameters, *, lr, amsgrad, **others):
        self.arrays = ("m", "v", "vhat") if amsgrad else ("m", "v")
        super().__init__(named_parameters, lr=lr, first_lr=lr, amsgrad=amsgrad, **others)

    def update(self, p, g, state, h):
        m, v, t = state["m"], state["v"], state["t"]
        m += (1.0 - h["beta1"]) * (g - m)
        v += (1.0 - h["beta2"]) * (g * g - v)
        vhat = v
        if h["amsgrad"]:
            vhat = torch.maximum(state["vhat"], v, out=state["vhat"])
        alpha_t = h["lr"] * math.sqrt(1.0 - math.pow(h["beta2"], t)) / (1.0 - math.pow(h["beta1"], t))
        # Divided, not multiplied by a reciprocal as PyTorch does with a Python number: that would round twice.
        step = torch.tensor(alpha_t, dtype=p.dtype) / (vhat.sqrt() + h["eps"])
        if h["adabound"]:
            final_lr = h["final_lr"] * h["lr"] / h["first_lr"]  # follows a schedule of alpha
            lower, upper = (final_lr * (1.0 - 1.0 / (h["gamma"] * t + 1)), final_lr * (1.0 + 1.0 / (h["gamma"] * t)))
            step = step.clamp(lower, upper)
        if h["weight_decay_rate"]:
            p *= 1.0 - h["eta"] * h["weight_decay_rate"]
        p += -h["eta"] * (step * m)


class MSVAG(ChainerOptimizer):
    """Momentum, scaled by what its estimated variance leaves of it; m and v are running means of g and g^2.

    beta_power is beta^(t + 1). Chainer does not store it: what it resumes from a snapshot goes on with beta_power = beta, and so
    does this. To go on as if nothing had been interrupted, set each `optimizer.state[p]["beta_power"]` to beta ** (t + 1).
    """

    hyperparameters = ("lr", "beta", "eta", "weight_decay_rate")
    arrays = ("m", "v")

    def update(self, p, g, state, h):
        beta, power, m, v = h["beta"], state.setdefault("beta_power", h["beta"]), state["m"], state["v"]
        rho = (1.0 - beta) ** 2 * (1.0 - power**2) / ((1.0 - power) ** 2 * (1.0 - beta**2))
        rho = min(rho, 0.9999)
        m += (1 - beta) * (g - m)
        v += (1 - beta) * (g * g - v)
        mean, square = m / (1 - power), v / (1 - power)
        mean2 = mean * mean
        s = (square - mean2) / (1 - rho)
        factor = (mean2 / (mean2 + rho * s)).clamp(0, 1).nan_to_num(nan=0.0)
        p -= h["eta"] * (h["lr"] * mean * factor + h["weight_decay_rate"] * p)
        state["beta_power"] = power * beta
