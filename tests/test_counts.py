"""Every architecture at its own sizes: how many parameters, which shapes, which initial values, as worked out from its source."""

import math
from functools import lru_cache

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library, names
from ganspec.spec.training.streams import Position, Streams

GROWING = {"progressive_generator": "G", "progressive_discriminator": "D", "progressive_shrink": "S"}

# Weights, then biases; "2 *" are batch norm's gamma and beta, a lone number its beta.
COUNTS = {
    # Linear layers of PyTorch, 28x28 = 784 pixels.
    "mlp_generator": (100 * 128 + 128 + 2 * 128) + 2 * (128 * 128 + 128 + 2 * 128) + (128 * 784 + 784),
    "mlp_generator_two_hidden": (100 * 256 + 256 + 2 * 256) + (256 * 256 + 256 + 2 * 256) + (256 * 784 + 784),
    "mlp_discriminator": (784 * 128 + 128) + 2 * (128 * 128 + 128) + (128 * 1 + 1),
    "conditional_mlp_generator": 10 * 64
    + (164 * 128 + 128 + 2 * 128) + 2 * (128 * 128 + 128 + 2 * 128) + (128 * 784 + 784),
    "conditional_mlp_discriminator": 10 * 64 + (848 * 128 + 128) + 2 * (128 * 128 + 128) + (128 * 1 + 1),
    # 2 + 10 numbers in; 7 * 7 * 64 = 3136. The discriminator has 10 planes beside its 128 channels.
    "cgan_generator": (12 * 3136 + 3136) + (64 * 64 * 25 + 64) + (64 * 32 * 9 + 32) + (32 * 1 * 25 + 1),
    "cgan_discriminator": (1 * 128 * 49 + 128) + (138 * 128 * 9 + 128) + (7 * 7 * 128 * 1 + 1),
    # n = 128: an image of 64x64 leaves the encoder as 512x8x8, and enters the decoder as 8 * 8 * 128 = 8192 numbers.
    "began_encoder": (3 * 128 * 9 + 128) + (128 * 128 * 9 + 128) + (128 * 256 * 9 + 256) + (256 * 256 * 9 + 256)
    + (256 * 384 * 9 + 384) + (384 * 384 * 9 + 384) + (384 * 512 * 9 + 512) + (512 * 512 * 9 + 512)
    + (512 * 8 * 8 * 64 + 64),
    "began_decoder": (64 * 8192 + 8192) + 8 * (128 * 128 * 9 + 128) + (128 * 3 * 9 + 3),
    "began_mlp_generator": (32 * 128 + 128 + 2 * 128) + (128 * 128 + 128 + 2 * 128) + (128 * 784 + 784),
    "began_mlp_autoencoder": (784 * 128 + 128) + (128 * 32 + 32 + 2 * 32) + (32 * 128 + 128 + 2 * 128) + (128 * 784 + 784),
    # Chainer-GAN-lib: 512 * 4 * 4 = 8192.
    "dcgan_generator": (128 * 8192 + 8192 + 2 * 8192) + (512 * 256 * 16 + 256 + 2 * 256)
    + (256 * 128 * 16 + 128 + 2 * 128) + (128 * 64 * 16 + 64 + 2 * 64) + (64 * 3 * 9 + 3),
    "dcgan_generator_plain": (128 * 8192 + 8192) + (512 * 256 * 16 + 256) + (256 * 128 * 16 + 128)
    + (128 * 64 * 16 + 64) + (64 * 3 * 9 + 3),
    "ac_generator": (138 * 8192 + 8192) + (512 * 256 * 16 + 256 + 2 * 256) + (256 * 128 * 16 + 128 + 2 * 128)
    + (128 * 64 * 16 + 64 + 2 * 64) + (64 * 3 * 9 + 3),
    "wgan_critic": (3 * 64 * 9 + 64) + (64 * 128 * 16 + 128) + (128 * 128 * 9 + 128) + (128 * 256 * 16 + 256)
    + (256 * 256 * 9 + 256) + (256 * 512 * 16 + 512) + (512 * 512 * 9 + 512) + (8192 * 1 + 1),
    "dcgan_discriminator": (3 * 64 * 9 + 64) + (64 * 128 * 16 + 128 + 128) + (128 * 128 * 9 + 128 + 128)
    + (128 * 256 * 16 + 256 + 256) + (256 * 256 * 9 + 256 + 256) + (256 * 512 * 16 + 512 + 512)
    + (512 * 512 * 9 + 512 + 512) + (8192 * 1 + 1),
    "acgan_discriminator": (3 * 64 * 9 + 64) + (64 * 128 * 16 + 128 + 128) + (128 * 128 * 9 + 128 + 128)
    + (128 * 256 * 16 + 256 + 256) + (256 * 256 * 9 + 256 + 256) + (256 * 512 * 16 + 512 + 512)
    + (512 * 512 * 9 + 512 + 512) + (8192 * 1 + 1) + (8192 * 10 + 10),
    # 32 -> 16 -> 8 -> 4 pixels, and 4 once more: 128 * 4 * 4 = 2048.
    "dropout_discriminator": (1 * 16 * 9 + 16) + (16 * 32 * 9 + 32) + (32 * 64 * 9 + 64) + (64 * 128 * 9 + 128) + (2048 + 1),
    # The last convolution has no batch norm; 100 kernels of 5 numbers.
    "minibatch_discriminator": (3 * 64 * 9 + 64) + (64 * 128 * 16 + 128 + 128) + (128 * 128 * 9 + 128 + 128)
    + (128 * 256 * 16 + 256 + 256) + (256 * 256 * 9 + 256 + 256) + (256 * 512 * 16 + 512 + 512)
    + (512 * 512 * 9 + 512) + (8192 * 500 + 500) + ((8192 + 100) * 1 + 1),
    "dfm_discriminator": (3 * 32 * 9 + 32) + (32 * 64 * 16 + 64 + 2 * 64) + (64 * 128 * 16 + 128 + 2 * 128)
    + (128 * 256 * 16 + 256 + 2 * 256) + (256 * 512 * 16 + 512 + 512) + (512 * 2 * 2 * 1 + 1),
    "denoiser": 10 * (2048 * 2048 + 2048) + 9 * 2 * 2048,
    "began_dcgan_autoencoder": (3 * 64 * 9 + 64) + (64 * 128 * 16 + 128) + (128 * 256 * 16 + 256)
    + (256 * 512 * 16 + 512) + (8192 * 128 + 128) + (128 * 8192 + 8192) + (512 * 256 * 16 + 256)
    + (256 * 128 * 16 + 128) + (128 * 64 * 16 + 64) + (64 * 3 * 9 + 3),
    "resnet_up_block": 3 * (128 * 128 * 9 + 128) + 2 * 2 * 128,
    "resnet_generator": (128 * 2048 + 2048) + 3 * (3 * (128 * 128 * 9 + 128) + 2 * 2 * 128) + 2 * 128
    + (128 * 3 * 9 + 3),
    "resnet_critic": (3 * 128 * 9 + 128) + (128 * 128 * 16 + 128) + (3 * 128 * 16 + 128)
    + (128 * 128 * 9 + 128) + 2 * (128 * 128 * 16 + 128) + 4 * (128 * 128 * 9 + 128) + (128 * 8 * 8 * 1 + 1),
    # All stages' parameters. The discriminator's first convolution at 4x4 sees one more channel, of deviations.
    "progressive_generator": (512 * 512 * 16 + 512) + (512 * 512 * 9 + 512) + 4 * (512 * 512 * 9 + 512)
    + (512 * 256 * 9 + 256) + (256 * 256 * 9 + 256) + 3 * (512 * 3 + 3) + (256 * 3 + 3),
    "progressive_discriminator": (3 * 256 + 256) + (256 * 256 * 9 + 256) + (256 * 512 * 9 + 512)
    + 3 * (3 * 512 + 512) + 4 * (512 * 512 * 9 + 512) + (513 * 512 * 9 + 512) + (512 * 512 * 16 + 512) + (512 * 1 + 1),
    "progressive_shrink": 0,
}  # fmt: skip
COUNTS["began_autoencoder"] = COUNTS["began_encoder"] + COUNTS["began_decoder"]
COUNTS["acgan_dropout_discriminator"] = COUNTS["dropout_discriminator"] + (2048 * 10 + 10)
COUNTS["sndcgan_discriminator"] = COUNTS["wgan_critic"]  # spectral norm has a statistic, and no parameter

# Where an architecture could go wrong without its count knowing: shapes of layers, by name.
SHAPES = {
    "mlp_generator": {"l3": (128,), "out": (1, 28, 28)},
    "cgan_generator": {"l1": (3136,), "c1": (64, 14, 14), "c3": (1, 28, 28)},
    # TensorFlow's "same" at stride 2: 28 -> 14; then halved once more.
    "cgan_discriminator": {"c1": (128, 14, 14), "label": (10, 14, 14), "concat_1": (138, 14, 14), "c2": (128, 7, 7)},
    "began_encoder": {"c2": (128, 32, 32), "c4": (256, 16, 16), "c6": (384, 8, 8), "c8": (512, 8, 8), "code": (64,)},
    "began_decoder": {
        "c2": (128, 8, 8),
        "c4": (128, 16, 16),
        "c6": (128, 32, 32),
        "c8": (128, 64, 64),
        "c9": (3, 64, 64),
    },
    "began_mlp_generator": {"l2": (128,), "out": (1, 28, 28)},
    "began_mlp_autoencoder": {"code": (32,), "out": (1, 28, 28)},
    "dcgan_generator": {"bn0": (8192,), "dc1": (256, 8, 8), "dc3": (64, 32, 32), "out": (3, 32, 32)},
    "ac_generator": {"concat_1": (138,), "l0": (8192,), "out": (3, 32, 32)},
    "dcgan_discriminator": {"c0_0": (64, 32, 32), "c0_1": (128, 16, 16), "c1_1": (256, 8, 8), "c3_0": (512, 4, 4)},
    "wgan_critic": {"c1": (128, 16, 16), "c2_0": (256, 8, 8), "c3_0": (512, 4, 4)},
    "acgan_discriminator": {"source": (1,), "class": (10,)},
    "dropout_discriminator": {"c1": (16, 16, 16), "c3": (64, 4, 4), "c4": (128, 4, 4), "l5": (1,)},
    "acgan_dropout_discriminator": {"features": (2048,), "source": (1,), "class": (10,)},
    "minibatch_discriminator": {"closeness": (100,), "concat_1": (8292,)},
    "dfm_discriminator": {"feature": (512, 2, 2), "logit": (1,), "c0": (32, 32, 32)},
    "denoiser": {"out": (512, 2, 2)},
    "began_dcgan_autoencoder": {"c3": (512, 4, 4), "l4": (128,), "l5": (8192,), "out": (3, 32, 32)},
    "resnet_generator": {"r0/add_1": (128, 8, 8), "r2/add_1": (128, 32, 32), "out": (3, 32, 32)},
    "resnet_critic": {"r0": (128, 16, 16), "r1": (128, 8, 8), "r3": (128, 8, 8)},
    "progressive_generator": {"c0": (512, 4, 4), "b1_c1": (512, 8, 8), "b3_c1": (256, 32, 32), "out": (3, 32, 32)},
    "progressive_discriminator": {"in3": (256, 32, 32), "b3": (512, 16, 16), "minibatch_std_1": (513, 4, 4)},
}
# A large layer of each, and what its weights start from: a normal's deviation, or a uniform's bound.
# Glorot: sqrt(6 / (fan_in + fan_out)), each fan being channels * kernel^2. PyTorch's linear: 1 / sqrt(fan_in).
INITIAL = {
    "mlp_generator": ("l4/W", "uniform", 1 / math.sqrt(128)),
    "mlp_generator_two_hidden": ("l2/W", "uniform", 1 / 16),
    "mlp_discriminator": ("l1/W", "uniform", 1 / 28),
    "conditional_mlp_generator": ("l1/W", "uniform", 1 / math.sqrt(164)),
    "conditional_mlp_discriminator": ("l1/W", "uniform", 1 / math.sqrt(848)),
    "cgan_generator": ("c1/W", "uniform", math.sqrt(6 / (64 * 25 + 64 * 25))),
    "cgan_discriminator": ("c2/W", "uniform", math.sqrt(6 / (138 * 9 + 128 * 9))),
    "began_encoder": ("c3/W", "uniform", math.sqrt(6 / (128 * 9 + 256 * 9))),
    "began_decoder": ("l1/W", "uniform", math.sqrt(6 / (64 + 8192))),
    "began_autoencoder": ("encoder/c5/W", "uniform", math.sqrt(6 / (256 * 9 + 384 * 9))),
    "began_mlp_generator": ("l3/W", "uniform", math.sqrt(6 / (128 + 784))),
    "began_mlp_autoencoder": ("l1/W", "uniform", math.sqrt(6 / (784 + 128))),
    "dcgan_generator": ("l0/W", "normal", 0.02),
    "dcgan_generator_plain": ("dc2/W", "normal", 0.02),
    "ac_generator": ("dc1/W", "normal", 0.02),
    "wgan_critic": ("c3/W", "normal", 0.02),
    "dcgan_discriminator": ("c3_0/W", "normal", 0.02),
    "sndcgan_discriminator": ("c2_1/W", "normal", 0.02),
    "acgan_discriminator": ("class/W", "normal", 0.02),
    "dropout_discriminator": ("c3/W", "uniform", math.sqrt(6 / (32 * 9 + 64 * 9))),
    "acgan_dropout_discriminator": ("class/W", "uniform", math.sqrt(6 / (2048 + 10))),
    "minibatch_discriminator": ("md/W", "normal", 0.02),
    "dfm_discriminator": ("c4/W", "normal", 0.02),
    "denoiser": ("l3/W", "normal", 1 / math.sqrt(2048)),
    "began_dcgan_autoencoder": ("l5/W", "normal", 0.02),
    "resnet_up_block": ("cs/W", "normal", 0.02),
    "resnet_generator": ("l0/W", "normal", 1 / math.sqrt(128)),
    "resnet_critic": ("r1_cs/W", "normal", 0.02),
    "progressive_generator": ("c1/W", "normal", 1.0),
    "progressive_discriminator": ("out0/W", "normal", 1.0),
}

# Where images start nearly black.
DARK = {(name, "l3/b"): {"b": "-3.0"} for name in ("began_mlp_generator", "began_mlp_autoencoder")}


@lru_cache
def architecture(name):
    if name in GROWING:
        return load_system("progressive_cifar10").networks[GROWING[name]]
    problems = Problems()
    found = read_architecture(Library().find("architectures", name, "", ""), Library(), {}, problems)
    assert problems.found == []
    return found


def drawn(name, path):
    parameter = architecture(name).parameter_paths()[path]
    return Streams(0).sample(parameter.initial, path, Position(), parameter.shape).ravel()


def test_every_architecture_is_counted():
    assert sorted(COUNTS) == names("architectures")
    assert sorted([*INITIAL, "progressive_shrink"]) == names("architectures")


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name):
    assert architecture(name).parameter_count == COUNTS[name]


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_layers(name):
    network = architecture(name)
    found = {
        key: network.output_shape(key) if key in network.outputs else network.shape_of(key) for key in SHAPES[name]
    }
    assert found == SHAPES[name]


@pytest.mark.parametrize("name", INITIAL)
def test_initial_weights(name):
    path, kind, size = INITIAL[name]
    values = drawn(name, path)
    n = len(values)
    assert n > 10_000
    deviation = size if kind == "normal" else size / math.sqrt(3)
    assert abs(values.mean()) < 5 * deviation / math.sqrt(n)
    # The variance of a sample's variance: 2 sigma^4 / n for a normal distribution, 4/5 sigma^4 / n for a uniform one.
    spread = math.sqrt((2.0 if kind == "normal" else 0.8) / n)
    assert abs(values.var() / deviation**2 - 1) < 5 * spread
    if kind == "uniform":
        assert size * (1 - 20 / n) < abs(values).max() <= size
    else:
        beyond = (abs(values) > 2 * deviation).mean()
        assert abs(beyond - 0.0455) < 5 * math.sqrt(0.0455 / n)


@pytest.mark.parametrize("name", INITIAL)
def test_initial_biases_and_batch_norms(name):
    like_pytorch = name.startswith(("mlp_", "conditional_mlp_"))
    for path, parameter in architecture(name).parameter_paths().items():
        leaf = path.rpartition("/")[2]
        if leaf == "b" and like_pytorch:
            weight = architecture(name).parameter_paths()[path.removesuffix("b") + "W"]
            bound = 1 / math.sqrt(weight.shape[1])
            assert str(parameter.initial) == f"uniform({-bound!r}, {bound!r})"
        elif leaf in ("b", "beta", "gamma"):
            start = {"b": "0.0", "beta": "0.0", "gamma": "1.0"} | DARK.get((name, path), {})
            assert str(parameter.initial) == start[leaf]


def test_embeddings_start_from_the_standard_normal_distribution():
    values = np.concatenate(
        [drawn(f"conditional_mlp_{kind}", "embedding/W") for kind in ("generator", "discriminator")]
    )
    assert abs(values.mean()) < 5 / math.sqrt(len(values))
    assert abs(values.var() - 1) < 5 * math.sqrt(2 / len(values))


def test_equalised_layers_multiply_their_weights_by_the_root_of_2_over_fan_in():
    fans = {"c0": 512 * 16, "c1": 512 * 9, "b3_c1": 256 * 9, "out3": 256}
    fans_d = {"in3": 3, "b3_c0": 256 * 9, "out0": 513 * 9, "out1": 512 * 16, "out2": 512}
    for name, expected in (("progressive_generator", fans), ("progressive_discriminator", fans_d)):
        gains = {layer.name: layer.settings.get("gain") for layer in architecture(name).holds if layer.name in expected}
        assert gains == {key: pytest.approx(math.sqrt(2 / fan), rel=1e-15) for key, fan in expected.items()}


def test_the_numbers_of_batch_norms_and_activations_are_those_of_the_frameworks_that_the_sources_used():
    chainers = (
        "dcgan_generator",
        "ac_generator",
        "dcgan_discriminator",
        "dfm_discriminator",
        "denoiser",
        "resnet_generator",
    )
    for name in (*chainers, "mlp_generator", "conditional_mlp_generator"):
        norms = [layer.settings for layer in architecture(name).layers if layer.kind == "batch_norm"]
        epsilon = 2e-5 if name in chainers else 1e-5
        assert [(n["epsilon"], n["momentum"]) for n in norms] == [(epsilon, 0.1)] * len(norms) != []
    for name in COUNTS:
        slopes = {layer.settings["slope"] for layer in architecture(name).layers if layer.kind == "leaky_relu"}
        assert slopes <= {0.3 if name.startswith(("mlp", "conditional", "cgan")) else 0.2}
        rates = {layer.settings["rate"] for layer in architecture(name).layers if layer.kind == "dropout"}
        keras = name.startswith("cgan") or name.endswith("dropout_discriminator")
        assert rates <= {0.3 if keras else 0.5}
