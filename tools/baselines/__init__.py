"""Plain hand-written training loops, one file for each family of systems and framework: for `ganspec bench`.

Each is written as its source, or a competent reader of it, writes it: the framework's own layers, optimiser, data loader
and random numbers, evaluated eagerly, with gradients computed wherever a plain `backward` computes them. None of it uses
the backends; of the spec only sizes and numbers are read, so that the loops can be checked at reduced sizes.

The docstring of each names its source and says where it differs from it. In all of them labels are whole numbers, images
are channels-first, the data lies in memory, and every pass over it is shuffled: PyTorch's leave out the images that do not
fill a batch, Chainer's go on with the next pass. Optimisers are the framework's own, with epsilon where it puts it.

A module `STEM_FRAMEWORK` has `make(system, images, labels=None, device="cpu")`: images are uint8, (n, channels, height,
width), labels whole numbers, (n,). It returns a loop, and calling a loop trains one iteration and returns the numbers that
the system records, by their names there. tests/test_baselines.py shows that these are ours to 1e-10. It needs of a loop

- `networks`: the modules by the names that the system gives them. What they train is in the order of the system's
  parameters in PyTorch, and under the same paths ("l1/W") in Chainer; a vector that spectral norm keeps is called `u`.
- `next_batch()`: the next images, or images and labels, as a sequence of one or two arrays.
- `draw_NAME()` for each draw of the system, such as `draw_z` and `draw_eps`.
- for a system that grows, `iteration`, which may be set to begin in another stage; for one that keeps moving averages,
  `averages`, modules by name.

The test gives the networks our parameters, and puts our batches and draws, in the shapes that these methods return, in the
place of theirs; dropout has the rate 0 there.
"""

# Systems by name, and the stems of their loops' modules.
MODULES = {
    "ac_wgan_gp_cifar10": "ac_wgan_gp_cifar10",
    "ac_wgan_gp_cifar10/acgan": "acgan_cifar10",
    "acgan_mnist": "acgan_mnist",
    "began_cifar10": "began_cifar10",
    "began_faces64": "began",
    "began_faces64/paper": "began",
    "began_mlp_mnist": "began_mlp",
    "began_mnist": "began",
    "cgan_mlp_mnist": "cgan_mlp",
    "cgan_mnist": "cgan_mnist",
    "cramer_cifar10": "cramer_cifar10",
    "cramer_cifar10/paper": "cramer_cifar10",
    "cramer_cifar10/v2": "cramer_cifar10",
    "cwgan_gp_mlp_mnist": "cwgan_gp",
    "dcgan_cifar10": "dcgan_cifar10",
    "dcgan_cifar10/minimax": "dcgan_cifar10",
    "dcgan_mnist": "dcgan_mnist",
    "dfm_cifar10": "dfm_cifar10",
    "dragan_cifar10": "dragan_cifar10",
    "dragan_cifar10/official": "dragan_cifar10",
    "gan_mlp_mnist": "gan_mlp",
    "hinge_cifar10": "hinge_cifar10",
    "lsgan_cifar10": "lsgan_cifar10",
    "minibatch_cifar10": "minibatch_cifar10",
    "progressive_cifar10": "progressive",
    "progressive_cifar10/compensated": "progressive",
    "sndcgan_cifar10": "sndcgan_cifar10",
    "wgan_cifar10": "wgan_cifar10",
    "wgan_cifar10/authors": "wgan_cifar10",
    "wgan_gp_cifar10": "wgan_gp_cifar10",
    "wgan_gp_cifar10/resnet": "wgan_gp_resnet_cifar10",
    "wgan_gp_dcgan_mnist": "wgan_gp_cifar10",
    "wgan_gp_mlp_mnist": "wgan_gp",
}
