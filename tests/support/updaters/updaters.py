"""Updaters of the small system, each right, and with one mistake that people make."""

# ruff: noqa: B905, UP008 (as it was written for Python 2 and 3)

import chainer
import chainer.functions as F
import numpy as np
from chainer import Variable


class Gan(chainer.training.StandardUpdater):
    """Softplus on logits, both networks at once, as DCGAN's were written."""

    def __init__(self, *args, **kwargs):
        self.gen, self.dis = kwargs.pop("models")
        super(Gan, self).__init__(*args, **kwargs)

    def real(self):
        batch = self.get_iterator("main").next()
        x = [np.asarray(image).astype("f") for image in batch]
        return Variable(self.gen.xp.asarray(x))

    def noise(self, x):
        return Variable(self.gen.xp.asarray(self.gen.make_hidden(len(x))))

    def loss_dis(self, y_real, y_fake):
        return F.sum(F.softplus(-y_real)) / len(y_real) + F.sum(F.softplus(y_fake)) / len(y_fake)

    def loss_gen(self, y_fake):
        return F.sum(F.softplus(-y_fake)) / len(y_fake)

    def update_core(self):
        x_real = self.real()
        y_real = self.dis(x_real)
        x_fake = self.gen(self.noise(x_real))
        y_fake = self.dis(x_fake)
        loss_gen = self.loss_gen(y_fake)
        loss_dis = self.loss_dis(y_real, y_fake)

        self.gen.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        x_fake.unchain_backward()

        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()

        chainer.reporter.report({"loss_gen": loss_gen})
        chainer.reporter.report({"loss_dis": loss_dis})


class GanSummed(Gan):
    """Sum for mean."""

    def loss_gen(self, y_fake):
        return F.sum(F.softplus(-y_fake))


class GanUncleared(Gan):
    """The discriminator keeps the gradient of the generator's loss."""

    def update_core(self):
        x_real = self.real()
        y_real = self.dis(x_real)
        y_fake = self.dis(self.gen(self.noise(x_real)))
        loss_gen = self.loss_gen(y_fake)
        loss_dis = self.loss_dis(y_real, y_fake)
        self.gen.cleargrads()
        self.dis.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()


class Chainer1(Gan):
    """The same as Gan, in the words of Chainer 1: volatile, cleared by zerograds, converter, losses as functions of update."""

    def update_core(self):
        x_real = Variable(self.converter(self.get_iterator("main").next(), self.device), volatile=False)
        y_real = self.dis(x_real)
        x_fake = self.gen(Variable(self.gen.make_hidden(len(x_real.data)), volatile="off"))
        y_fake = self.dis(x_fake)
        self.get_optimizer("opt_gen").update(self.generator_loss, y_fake)
        x_fake.unchain_backward()
        self.get_optimizer("opt_dis").update(self.discriminator_loss, y_real, y_fake)

    def generator_loss(self, y_fake):
        loss = self.loss_gen(y_fake)
        chainer.report({"loss": loss}, self.gen)
        return loss

    def discriminator_loss(self, y_real, y_fake):
        loss = self.loss_dis(y_real, y_fake)
        chainer.report({"loss": loss}, self.dis)
        return loss


class Volatile(Gan):
    """Chainer 1 again: fakes of a volatile variable, the generator in test mode, gradients cleared by the optimiser."""

    def update_core(self):
        x_real = self.real()
        z = self.gen.make_hidden(len(x_real))
        x_fake = self.gen(Variable(z, volatile=True), test=True).data
        loss_dis = self.loss_dis(self.dis(x_real), self.dis(Variable(x_fake)))
        opt_dis = self.get_optimizer("opt_dis")
        opt_dis.zero_grads()
        loss_dis.backward()
        opt_dis.update()

        loss_gen = self.loss_gen(self.dis(self.gen(self.noise(x_real), test=False)))
        opt_gen = self.get_optimizer("opt_gen")
        opt_gen.zero_grads()
        loss_gen.backward()
        opt_gen.update()
        chainer.report({"loss_dis": loss_dis, "loss_gen": loss_gen})


class Alternating(Gan):
    """One network after the other; what the other gave is a constant, computed as a volatile variable."""

    def update_core(self):
        x_real = self.real()
        z = Variable(self.gen.make_hidden(len(x_real)), volatile=True)
        x_fake = Variable(self.gen(z).data)
        loss_dis = self.loss_dis(self.dis(x_real), self.dis(x_fake))
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()

        loss_gen = self.loss_gen(self.dis(self.gen(self.noise(x_real))))
        self.gen.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        chainer.report({"loss_dis": loss_dis, "loss_gen": loss_gen})


class Lsgan(Alternating):
    """Least squares, by Chainer's own function."""

    def loss_dis(self, y_real, y_fake):
        ones = self.dis.xp.ones_like(y_real.data)
        return 0.5 * (F.mean_squared_error(y_real, ones) + F.mean_squared_error(y_fake, 0 * ones))

    def loss_gen(self, y_fake):
        return F.mean_squared_error(y_fake, self.dis.xp.ones_like(y_fake.data)) / 2


class LsganHalf(Lsgan):
    """The half is forgotten."""

    def loss_dis(self, y_real, y_fake):
        return F.mean((y_real - 1) ** 2) + F.mean(y_fake**2)


class Hinge(Alternating):
    def loss_dis(self, y_real, y_fake):
        return F.mean(F.relu(1.0 - y_real)) + F.mean(F.relu(1.0 + y_fake))

    def loss_gen(self, y_fake):
        return -F.mean(y_fake)


class HingeOrder(Hinge):
    """The generator comes first."""

    def update_core(self):
        x_real = self.real()
        loss_gen = self.loss_gen(self.dis(self.gen(self.noise(x_real))))
        self.gen.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        x_fake = Variable(self.gen(self.noise(x_real)).data)
        loss_dis = self.loss_dis(self.dis(x_real), self.dis(x_fake))
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()


class WganGp(Gan):
    """Several critic steps on new images; the generator moves with the first."""

    def __init__(self, *args, **kwargs):
        self.n_dis = kwargs.pop("n_dis")
        self.lam = kwargs.pop("lam")
        super(WganGp, self).__init__(*args, **kwargs)

    def norm(self, gradient):
        return F.sqrt(F.sum(gradient**2, axis=(1, 2, 3)))

    def mixed(self, eps, x_real, x_fake):
        return Variable((eps * x_real + (1.0 - eps) * x_fake).data)

    def update_core(self):
        xp = self.gen.xp
        for i in range(self.n_dis):
            x_real = self.real()
            batchsize = len(x_real)
            y_real = self.dis(x_real)
            x_fake = self.gen(self.noise(x_real))
            y_fake = self.dis(x_fake)
            if i == 0:
                loss_gen = F.sum(-y_fake) / batchsize
                self.gen.cleargrads()
                loss_gen.backward()
                self.get_optimizer("opt_gen").update()
                chainer.reporter.report({"loss_gen": loss_gen})
            x_fake.unchain_backward()

            eps = xp.random.uniform(0, 1, size=batchsize).astype("f")[:, None, None, None]
            x_mid = self.mixed(eps, x_real, x_fake)
            y_mid = self.dis(x_mid)
            (dydx,) = chainer.grad([y_mid], [x_mid], enable_double_backprop=True)
            norm = self.norm(dydx)
            loss_gp = self.lam * F.mean_squared_error(norm, xp.ones_like(norm.data))
            loss_dis = F.sum(-y_real) / batchsize + F.sum(y_fake) / batchsize

            self.dis.cleargrads()
            loss_dis.backward()
            loss_gp.backward()
            self.get_optimizer("opt_dis").update()
            chainer.reporter.report({"wasserstein": -loss_dis, "slope": F.mean(norm)})


class WganGpStabilised(WganGp):
    """A small number under the root."""

    def norm(self, gradient):
        return F.sqrt(F.sum(gradient**2, axis=(1, 2, 3)) + 1e-10)


class WganGpNumpy(WganGp):
    """The mixture is made by NumPy."""

    def mixed(self, eps, x_real, x_fake):
        return Variable(eps * x_real.data + (1 - eps) * x_fake.data)


class Began(Gan):
    """k is a number that the updater keeps."""

    def __init__(self, *args, **kwargs):
        self.gamma, self.lambda_k, self.k = kwargs.pop("gamma"), kwargs.pop("lambda_k"), 0.0
        super(Began, self).__init__(*args, **kwargs)

    def moved(self, real, fake):
        return np.clip(self.k + self.lambda_k * (self.gamma * real - fake), 0, 1)

    def update_core(self):
        x_real = self.real()
        loss_real = F.mean_absolute_error(x_real, self.dis(x_real))
        x_fake = self.gen(self.noise(x_real))
        loss_fake = F.mean_absolute_error(x_fake, self.dis(x_fake))
        loss_dis = loss_real - self.k * loss_fake
        self.gen.cleargrads()
        loss_fake.backward()
        self.get_optimizer("opt_gen").update()
        x_fake.unchain_backward()
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()
        self.k = self.moved(float(loss_real.data), float(loss_fake.data))
        chainer.report({"k": self.k, "loss_gen": loss_fake})


class BeganSign(Began):
    """k moves the other way."""

    def moved(self, real, fake):
        return np.clip(self.k + self.lambda_k * (fake - self.gamma * real), 0, 1)


class TakesTwo(Gan):
    """Takes a batch that the system has not."""

    def update_core(self):
        self.real()
        super(TakesTwo, self).update_core()


class DrawsMore(Gan):
    """Draws once too often."""

    def update_core(self):
        x_real = self.real()
        self.noise(x_real)
        self.dis(self.gen(self.noise(x_real)))


class Raises(Gan):
    def update_core(self):
        return self.dis(self.nothing)


class NoCore:
    def __init__(self, **kwargs):
        pass


def make_updater():
    """What a training script does, without the training."""
    from nets import Discriminator, Generator

    models = Generator(), Discriminator()
    optimizers = {}
    for name, model in zip(("opt_gen", "opt_dis"), models):
        optimizers[name] = chainer.optimizers.Adam(2e-4, beta1=0.5)
        optimizers[name].setup(model)
    iterator = chainer.iterators.SerialIterator(images(), 4)
    return Gan(models=models, iterator=iterator, optimizer=optimizers, device=-1)


def images():
    """Pictures as 0 to 255."""
    return np.random.RandomState(0).randint(0, 256, (12, 1, 3, 3)).astype("f")


def empty():
    return []


def few():
    return chainer.iterators.SerialIterator(images()[:4], 4, repeat=False)


def small_images():
    return images()[:, :, :2, :2]


class Rootless(Gan):
    """A loss that has no formula in the language."""

    def loss_gen(self, y_fake):
        return F.mean(F.arctan(y_fake))


class GanUnchained(Gan):
    """The discriminator's loss runs back through the generator, which has moved; the gradient there is never used."""

    def update_core(self):
        x_real = self.real()
        y_real = self.dis(x_real)
        y_fake = self.dis(self.gen(self.noise(x_real)))
        loss_gen = self.loss_gen(y_fake)
        loss_dis = self.loss_dis(y_real, y_fake)
        self.gen.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()


class WganGpByHand(WganGp):
    """The gradient by the images is written out, as before Chainer 3 could differentiate twice."""

    def update_core(self):
        x_real = self.real()
        x_fake = self.gen(self.noise(x_real))
        x_fake.unchain_backward()
        inside = (self.dis.l0(x_real).data > 0) * 0.8 + 0.2
        dydx = F.matmul(inside * F.broadcast_to(self.dis.l1.W, inside.shape), self.dis.l0.W)
        loss = F.mean(self.dis(x_fake) - self.dis(x_real)) + self.lam * F.mean(F.sum(dydx**2, axis=1))
        self.dis.cleargrads()
        loss.backward()
        self.get_optimizer("opt_dis").update()


class SharedFakes(Gan):
    """The generator is trained on the fakes that the discriminator has just seen, with the discriminator as it is then."""

    def seen(self, x_fake):
        return x_fake.data

    def update_core(self):
        x_real = self.real()
        self.gen.cleargrads()
        x_fake = self.gen(self.noise(x_real))
        loss_dis = self.loss_dis(self.dis(x_real), self.dis(self.seen(x_fake)))
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()
        loss_gen = self.loss_gen(self.dis(x_fake))
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        chainer.report({"loss_dis": loss_dis, "loss_gen": loss_gen})


class SharedFakesLeaking(SharedFakes):
    """The fakes are not detached: the generator gets the gradient of the discriminator's loss, too."""

    def seen(self, x_fake):
        return x_fake


class LabelledGan(Gan):
    """A batch of images and labels."""

    def update_core(self):
        x, y = self.converter(self.get_iterator("main").next(), self.device)
        y_real = self.dis(Variable(x), y)
        y_fake = self.dis(self.gen(self.noise(x)), y)
        loss_gen = self.loss_gen(y_fake)
        loss_dis = self.loss_dis(y_real, y_fake)
        self.gen.cleargrads()
        loss_gen.backward()
        self.get_optimizer("opt_gen").update()
        self.dis.cleargrads()
        loss_dis.backward()
        self.get_optimizer("opt_dis").update()
        chainer.report({"loss_dis": loss_dis, "loss_gen": loss_gen})
