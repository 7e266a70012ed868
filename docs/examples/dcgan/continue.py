"""Go on training the ported DCGAN in PyTorch where Chainer's snapshot stands, with the batches that Chainer would take."""

import argparse
import json

import numpy as np
import torch
import torch.nn.functional as F
from dis_torch import discriminator
from dis_torch import optimizer as dis_optimizers
from gen_torch import generator
from gen_torch import optimizer as gen_optimizers


def resumed(folder, module, optimizers, dtype):
    """Returns: a ported model and its optimiser, both as the snapshot has them."""
    model = module.build()
    model.load_state_dict(torch.load(f"{folder}/weights.pt", weights_only=True), strict=True)
    optimizer = optimizers.make_optimizer(model.to(dtype))
    optimizer.carry(torch.load(f"{folder}/optimizer.pt", weights_only=True))
    return model, optimizer


parser = argparse.ArgumentParser()
parser.add_argument("--iterations", type=int, default=20)
parser.add_argument("--dtype", default="float32")
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
dtype = getattr(torch, arguments.dtype)

gen, gen_optimizer = resumed("gen_torch", generator, gen_optimizers, dtype)
dis, dis_optimizer = resumed("dis_torch", discriminator, dis_optimizers, dtype)
with open("gen_torch/progress.json") as file:
    iterator = json.load(file)["iterators"]["main"]
images = np.load("digits.npz")["images"][iterator["order"][iterator["position"] :]]  # the rest of the epoch

np.random.seed(arguments.seed)
losses = []
for i in range(arguments.iterations):
    x_real = torch.tensor(images[16 * i : 16 * (i + 1)]).to(dtype)
    z = torch.tensor(np.random.uniform(-1, 1, (len(x_real), gen.n_hidden))).to(dtype)

    x_fake = gen(z)
    loss_dis = F.softplus(-dis(x_real)).mean() + F.softplus(dis(x_fake.detach())).mean()
    dis_optimizer.zero_grad()
    loss_dis.backward()
    dis_optimizer.step()

    loss_gen = F.softplus(-dis(x_fake)).mean()
    gen_optimizer.zero_grad()
    loss_gen.backward()
    gen_optimizer.step()
    losses.append({"loss_dis": loss_dis.item(), "loss_gen": loss_gen.item()})

for folder, model, optimizer in (("gen_torch", gen, gen_optimizer), ("dis_torch", dis, dis_optimizer)):
    torch.save(model.state_dict(), f"{folder}/continued.pt")
    torch.save(optimizer.carried(), f"{folder}/continued_optimizer.pt")
with open("losses.json", "w") as file:
    json.dump(losses, file)
