"""Train the DCGAN of net.py, with a trainer, an updater and snapshots, as Chainer scripts of 2017 do."""

import argparse

import chainer
import chainer.functions as F
import numpy as np
from chainer.training import StandardUpdater, Trainer, extensions
from net import Discriminator, Generator


class DCGANUpdater(StandardUpdater):
    def update_core(self):
        gen_optimizer, dis_optimizer = self.get_optimizer("gen"), self.get_optimizer("dis")
        gen, dis = gen_optimizer.target, dis_optimizer.target
        x_real = chainer.Variable(np.stack(self.get_iterator("main").next()).astype(chainer.get_dtype()))
        z = np.random.uniform(-1, 1, (len(x_real), gen.n_hidden)).astype(x_real.dtype)

        x_fake = gen(z)
        loss_dis = F.mean(F.softplus(-dis(x_real))) + F.mean(F.softplus(dis(x_fake.array)))
        dis.cleargrads()
        loss_dis.backward()
        dis_optimizer.update()

        loss_gen = F.mean(F.softplus(-dis(x_fake)))
        gen.cleargrads()
        loss_gen.backward()
        gen_optimizer.update()
        chainer.report({"loss_dis": loss_dis, "loss_gen": loss_gen})


def make_optimizer(model):
    optimizer = chainer.optimizers.Adam(alpha=2e-4, beta1=0.5)
    optimizer.setup(model)
    optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-4))
    return optimizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--resume", help="a snapshot")
    parser.add_argument("--out", default="result")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    np.random.seed(arguments.seed)
    gen, dis = Generator(n_hidden=16), Discriminator()
    iterator = chainer.iterators.SerialIterator(np.load("digits.npz")["images"], batch_size=16)
    updater = DCGANUpdater(iterator, {"gen": make_optimizer(gen), "dis": make_optimizer(dis)})
    trainer = Trainer(updater, (arguments.iterations, "iteration"), out=arguments.out)
    trainer.extend(extensions.snapshot(), trigger=(20, "iteration"))
    trainer.extend(extensions.LogReport(trigger=(1, "iteration")))
    if arguments.resume:
        chainer.serializers.load_npz(arguments.resume, trainer)
        np.random.seed(arguments.seed)
    trainer.run()


if __name__ == "__main__":
    main()
