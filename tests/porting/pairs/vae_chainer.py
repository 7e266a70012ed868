"""An encoder that returns a distribution, a sample of it, and a penalty through which no gradient flows."""

import chainer
import chainer.distributions as D
import chainer.functions as F
import chainer.links as L


class Encoder(chainer.Chain):
    def __init__(self, n_in, n_latent):
        super().__init__()
        with self.init_scope():
            self.mu = L.Linear(n_in, n_latent)
            self.ln_sigma = L.Linear(n_in, n_latent)

    def forward(self, x):
        mu, ln_var = self.mu(x), 2 * self.ln_sigma(x)
        z = F.gaussian(mu, ln_var)
        with chainer.no_backprop_mode():
            target = F.softplus(mu)
        return {"q": D.Normal(mu, log_scale=ln_var / 2), "z": z, "penalty": F.sum((z - target.array) ** 2, axis=1)}
