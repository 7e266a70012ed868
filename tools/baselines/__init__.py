"""Plain hand-written training loops of a few systems, one file a loss and framework: for `ganspec bench`.

Each is written as its source, or a reader of the paper, writes it: the framework's own layers, optimiser, data loader
and random numbers, evaluated eagerly, with gradients computed wherever a plain `backward` computes them. None of it
uses the backends; of the spec only sizes and numbers are read, so that the loops can be checked at reduced sizes.

A module has `make(system, images, device)`, which returns a loop. Calling a loop trains one iteration and returns the
numbers that the system records, by their names there. For checks, its methods that give data and noise can be replaced,
and its networks (`generator`, and `critic` or `discriminator`) have the spec's parameters in the spec's order.
"""

MODULES = {
    "wgan_gp_mlp_mnist": "wgan_gp",
    "began_mnist": "began",
    "began_faces64": "began",
}
