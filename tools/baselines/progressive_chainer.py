"""Progressive growing on CIFAR-10 in plain Chainer.

Source: Chainer-GAN-lib, progressive/net.py and progressive/updater.py; Karras et al. 2018, arXiv:1710.10196. As
there, the equalised learning rate multiplies what enters a layer, and the average of the generator is moved in every
iteration. It differs in that latents are normalised inside of the generator, that real images are shrunk without a
graph, and that the names of blocks are flat.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device

BLOCKS = 3


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class EqualizedConvolution2D(L.Convolution2D):
    def __init__(self, in_channels: int, out_channels: int, ksize: int, pad: int = 0) -> None:
        w = chainer.initializers.Normal(1.0)
        super().__init__(in_channels, out_channels, ksize, 1, pad, initialW=w)
        self.gain = (2 / (in_channels * ksize**2)) ** 0.5

    def forward(self, x: Any) -> chainer.Variable:
        return super().forward(self.gain * x)


class EqualizedLinear(L.Linear):
    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__(in_size, out_size, initialW=chainer.initializers.Normal(1.0))
        self.gain = (2 / in_size) ** 0.5

    def forward(self, x: Any) -> chainer.Variable:
        return super().forward(self.gain * x)


def pixel_norm(x: Any) -> chainer.Variable:
    norm = F.sqrt(F.mean(x * x, axis=1, keepdims=True) + 1e-8)
    return x / F.broadcast_to(norm, x.shape)


def double(x: Any) -> chainer.Variable:
    return F.unpooling_2d(x, 2, 2, cover_all=False)


def minibatch_std(x: Any) -> chainer.Variable:
    """Returns: x with one more channel, the mean of the deviations over the batch."""
    centred = x - F.broadcast_to(F.mean(x, axis=0, keepdims=True), x.shape)
    std = F.mean(F.sqrt(F.mean(centred * centred, axis=0) + 1e-8))
    return F.concat([x, F.broadcast_to(std, (len(x), 1, *x.shape[2:]))])


class Generator(chainer.Chain):
    def __init__(self, latent: int, ch: int, bottom: int, channels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.c0 = EqualizedConvolution2D(latent, ch, bottom, bottom - 1)
            self.c1 = EqualizedConvolution2D(ch, ch, 3, 1)
            self.out0 = EqualizedConvolution2D(ch, channels, 1)
            self.b1_c0, self.b1_c1 = EqualizedConvolution2D(ch, ch, 3, 1), EqualizedConvolution2D(ch, ch, 3, 1)
            self.out1 = EqualizedConvolution2D(ch, channels, 1)
            self.b2_c0, self.b2_c1 = EqualizedConvolution2D(ch, ch, 3, 1), EqualizedConvolution2D(ch, ch, 3, 1)
            self.out2 = EqualizedConvolution2D(ch, channels, 1)
            self.b3_c0 = EqualizedConvolution2D(ch, ch // 2, 3, 1)
            self.b3_c1 = EqualizedConvolution2D(ch // 2, ch // 2, 3, 1)
            self.out3 = EqualizedConvolution2D(ch // 2, channels, 1)

    def block(self, number: int, h: Any) -> chainer.Variable:
        h = F.leaky_relu(pixel_norm(self[f"b{number}_c0"](double(h))))
        return F.leaky_relu(pixel_norm(self[f"b{number}_c1"](h)))

    def forward(self, z: Any, stage: int, fade: float) -> chainer.Variable:
        h = F.expand_dims(F.expand_dims(pixel_norm(z), 2), 3)
        h = F.leaky_relu(pixel_norm(self.c0(h)))
        h = F.leaky_relu(pixel_norm(self.c1(h)))
        whole = stage // 2  # blocks that are there for good
        for number in range(1, whole + 1):
            h = self.block(number, h)
        out = self[f"out{whole}"]
        if stage % 2 == 0:
            return out(h)
        new = self[f"out{whole + 1}"](self.block(whole + 1, h))
        return (1 - fade) * out(double(h)) + fade * new


class Discriminator(chainer.Chain):
    def __init__(self, ch: int, bottom: int, channels: int, compensation: float) -> None:
        super().__init__()
        self.compensation = compensation
        with self.init_scope():
            self.in3 = EqualizedConvolution2D(channels, ch // 2, 1)
            self.b3_c0 = EqualizedConvolution2D(ch // 2, ch // 2, 3, 1)
            self.b3_c1 = EqualizedConvolution2D(ch // 2, ch, 3, 1)
            self.in2 = EqualizedConvolution2D(channels, ch, 1)
            self.b2_c0, self.b2_c1 = EqualizedConvolution2D(ch, ch, 3, 1), EqualizedConvolution2D(ch, ch, 3, 1)
            self.in1 = EqualizedConvolution2D(channels, ch, 1)
            self.b1_c0, self.b1_c1 = EqualizedConvolution2D(ch, ch, 3, 1), EqualizedConvolution2D(ch, ch, 3, 1)
            self.in0 = EqualizedConvolution2D(channels, ch, 1)
            self.out0 = EqualizedConvolution2D(ch + 1, ch, 3, 1)
            self.out1 = EqualizedConvolution2D(ch, ch, bottom)
            self.out2 = EqualizedLinear(ch, 1)

    def halve(self, x: Any) -> chainer.Variable:
        return self.compensation * F.average_pooling_2d(x, 2, 2)

    def enter(self, number: int, x: Any) -> chainer.Variable:
        return F.leaky_relu(self[f"in{number}"](x))

    def block(self, number: int, h: Any) -> chainer.Variable:
        h = F.leaky_relu(self[f"b{number}_c0"](h))
        return self.halve(F.leaky_relu(self[f"b{number}_c1"](h)))

    def forward(self, x: Any, stage: int, fade: float) -> chainer.Variable:
        whole = stage // 2
        if stage % 2 == 0:
            h = self.enter(whole, x)
        else:
            new = self.block(whole + 1, self.enter(whole + 1, x))
            h = (1 - fade) * self.enter(whole, self.halve(x)) + fade * new
        for number in range(whole, 0, -1):
            h = self.block(number, h)
        h = F.leaky_relu(self.out0(minibatch_std(h)))
        return self.out2(F.leaky_relu(self.out1(h)))


def shrink(x: Any, stage: int, fade: float) -> Any:
    """Returns: images at the size of the stage, mixed with those of half the size while a block fades in."""
    halvings = BLOCKS - (stage + 1) // 2
    with chainer.no_backprop_mode():
        new = F.average_pooling_2d(x, 2**halvings).array if halvings else x
        if stage % 2 == 0:
            return new
        old = double(F.average_pooling_2d(x, 2 ** (halvings + 1))).array
    return (1 - fade) * old + fade * new


class Loop:
    """Networks, optimisers and data of one training run; `iteration` says how far they have grown."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.latent = system.run.batch, int(g["latent"])
        self.generator = Generator(*(int(g[key]) for key in ("latent", "ch", "bottom", "channels")))
        sizes = (int(d[key]) for key in ("ch", "bottom", "channels"))
        self.critic = Discriminator(*sizes, d["compensation"])
        self.networks = {"G": self.generator, "D": self.critic}
        for network in self.networks.values():
            network.to_device(self.device)
        self.averages, self.decay = {"G": self.generator.copy("copy")}, system.averages["G"]
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.numbers = system.loss.constants
        growth = system.growth
        self.iteration, self.stages, self.images = 0, growth.stages, growth.images
        self.start = growth.start_stage + growth.start_fade
        self.next_batch = Batches(system, images, None, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.standard_normal((self.batch, self.latent)).astype(self.dtype)

    def draw_eps(self) -> Any:
        return self.device.xp.random.uniform(0, 1, (self.batch, 1, 1, 1)).astype(self.dtype)

    def gradient_penalty(self, x_real: Any, x_fake: chainer.Variable, *at: float) -> chainer.Variable:
        eps, target = self.draw_eps(), self.numbers["target"]
        x_hat = chainer.Variable(eps * x_real + (1 - eps) * x_fake.array)
        (gradient,) = chainer.grad([self.critic(x_hat, *at)], [x_hat], enable_double_backprop=True)
        norm = F.sqrt(F.sum(gradient * gradient, axis=(1, 2, 3)))
        return F.mean_squared_error(norm, self.device.xp.full_like(norm.array, target)) / target**2

    def move_average(self) -> None:
        parameters = dict(self.generator.namedparams())
        for path, average in self.averages["G"].namedparams():
            average.array += (1 - self.decay) * (parameters[path].array - average.array)

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's step, then the generator's on fresh noise, then its average."""
        progress = min(self.start + self.iteration * self.batch / self.images, self.stages - 1)
        stage, fade = int(progress), progress % 1
        x_real = shrink(*self.next_batch(), stage, fade)
        x_fake = self.generator(self.draw_z(), stage, fade)
        x_fake.unchain_backward()
        y_real, y_fake = self.critic(x_real, stage, fade), self.critic(x_fake, stage, fade)
        penalty = self.gradient_penalty(x_real, x_fake, stage, fade)
        drift = self.numbers["drift_weight"] * F.mean(y_real**2)
        loss_critic = F.mean(y_fake) - F.mean(y_real) + drift + self.numbers["penalty_weight"] * penalty
        self.critic.cleargrads()
        loss_critic.backward()
        self.critic_optimizer.update()
        loss_generator = -F.mean(self.critic(self.generator(self.draw_z(), stage, fade), stage, fade))
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        self.move_average()
        self.iteration += 1
        return {
            "loss_D": float(loss_critic.array),
            "gradient_penalty": float(penalty.array),
            "loss_G": float(loss_generator.array),
        }
