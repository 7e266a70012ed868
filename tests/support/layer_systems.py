"""A system for each kind of layer: WGAN-GP whose critic has one in its middle; for kinds that read labels, a conditional one."""

from support import tiny_systems
from support.tiny_systems import NORMAL, critic

# The middle of a critic for each kind of layer. Before it stands the image, after it layers that make one number per sample.
MIDDLES = {
    "linear": '{ kind = "flatten" }, { kind = "linear", name = "m", units = 3 }',
    "conv": '{ kind = "conv", name = "m", channels = 3, kernel = KERNEL, stride = STRIDE, padding = [2, 1, 0, 3] }',
    "deconv": '{ kind = "deconv", name = "m", channels = 2, kernel = 4, stride = 2, padding = 1 }',
    "batch_norm": '{ kind = "batch_norm", name = "m", epsilon = 1e-3, momentum = 0.2, gamma = "normal(1, 0.1)", '
    'beta = "normal(0, 1)" }',
    "leaky_relu": '{ kind = "leaky_relu", slope = SLOPE }',
    "relu": '{ kind = "relu" }',
    "elu": '{ kind = "elu", alpha = SLOPE }',
    "tanh": '{ kind = "tanh" }',
    "sigmoid": '{ kind = "sigmoid" }',
    "dropout": '{ kind = "dropout", rate = 0.3 }',
    "reshape": '{ kind = "reshape", shape = ["size", "size", "c"] }',
    "flatten": '{ kind = "flatten" }',
    "upsample": '{ kind = "upsample", factor = 2 }',
    "concat": '{ kind = "tanh", name = "t" }, { kind = "concat", from = ["x", "t"] }',
    "add": '{ kind = "tanh", name = "t" }, { kind = "add", from = ["x", "t"] }',
    "pixel_norm": '{ kind = "pixel_norm", epsilon = 1e-3 }',
    "minibatch_std": '{ kind = "minibatch_std", epsilon = 1e-3 }',
    "minibatch_discrimination": '{ kind = "flatten" }, { kind = "linear", name = "m", units = 6 }, '
    '{ kind = "minibatch_discrimination", kernels = 3, dimensions = 2 }',
    "scale": '{ kind = "scale", factor = SLOPE }',
    "max_pool": '{ kind = "max_pool", kernel = 2, stride = STRIDE }',
    "avg_pool": '{ kind = "avg_pool", kernel = 2, stride = STRIDE }',
    "planes": '{ kind = "flatten" }, { kind = "planes", height = 2, width = 3 }',
    "layer_norm": '{ kind = "layer_norm", name = "m", epsilon = 1e-3, GAMMA }',
    "instance_norm": '{ kind = "instance_norm", name = "m", epsilon = 1e-3, GAMMA }',
    "group_norm": '{ kind = "conv", name = "w", channels = 4, kernel = 1, stride = 1, padding = 0 }, '
    '{ kind = "group_norm", name = "m", groups = 2, epsilon = 0.1, GAMMA }',
    "normalize": '{ kind = "normalize", epsilon = 1e-2 }',
    "local_response_norm": '{ kind = "conv", name = "w", channels = 4, kernel = 1, stride = 1, padding = 0 }, '
    '{ kind = "local_response_norm", n = 5, k = 1.5, alpha = SLOPE, beta = 0.75 }',
    "prelu": '{ kind = "prelu", name = "m", per = "channel", slope = "normal(0.2, 0.1)" }',
    "prelu, one slope": '{ kind = "prelu", name = "m", per = "layer", slope = SLOPE }',
    "hard_sigmoid": '{ kind = "hard_sigmoid", slope = SLOPE }',
    "softplus": '{ kind = "softplus" }',
    "swish": '{ kind = "swish", name = "m", per = "number", beta = "normal(1, 0.2)" }',
    "abs": '{ kind = "abs" }',
    "exp": '{ kind = "exp" }',
    "log": '{ kind = "softplus" }, { kind = "log" }',
    "sqrt": '{ kind = "softplus" }, { kind = "sqrt" }',
    "clip": '{ kind = "clip", low = -0.5, high = SLOPE }',
    "softmax": '{ kind = "softmax" }',
    "trained_scale": '{ kind = "trained_scale", name = "m", per = "channel", factor = "normal(1, 0.5)" }',
    "bias": '{ kind = "bias", name = "m", per = "number", bias = "normal(0, 0.5)" }',
    "transpose": '{ kind = "transpose", axes = [2, 0, 1] }',
    "slice": '{ kind = "slice", axis = 1, start = 1, stop = 3 }',
    "mean": '{ kind = "mean", axes = [1, 2] }',
    "sum": '{ kind = "sum", axes = [2, 0] }',
    "max": '{ kind = "max", axes = [2, 0] }',
    "broadcast": '{ kind = "conv", name = "w", channels = 1, kernel = 2, stride = STRIDE, padding = 0 }, '
    '{ kind = "mean", axes = [2] }, { kind = "broadcast", shape = [3, "floor((size - 2) / STRIDE) + 1"] }',
    "pad": '{ kind = "pad", padding = [0, 1, 2, STRIDE], value = SLOPE }',
    "subtract": '{ kind = "tanh", name = "t" }, { kind = "subtract", from = ["x", "t"] }',
    "multiply": '{ kind = "tanh", name = "t" }, { kind = "multiply", from = ["x", "t", "x"] }',
    "matmul": '{ kind = "max", name = "t", axes = [0] }, { kind = "tanh", name = "u" }, '
    '{ kind = "matmul", from = ["t", "u"] }',
    # Sizes in both directions, and the optional keys of windows.
    "conv, rectangle": '{ kind = "conv", name = "m", channels = 2, kernel = [1, KERNEL], stride = [STRIDE, 1], padding = 1 }',
    "conv, dilation": '{ kind = "conv", name = "m", channels = 3, kernel = [2, 3], stride = STRIDE, padding = 2, '
    "dilation = [3, 1] }",
    "conv, groups": '{ kind = "conv", name = "w", channels = 4, kernel = 1, stride = 1, padding = 0 }, '
    '{ kind = "conv", name = "m", channels = 6, kernel = 2, stride = STRIDE, padding = [1, 0, 0, 1], dilation = 2, groups = 2 }',
    "deconv, rectangle": '{ kind = "deconv", name = "m", channels = 2, kernel = [2, 3], stride = [STRIDE, 1], padding = [0, 1] }',
    "max_pool, padding": '{ kind = "max_pool", kernel = [2, 3], stride = STRIDE, padding = [1, 2] }',
    "max_pool, cover_all": '{ kind = "max_pool", kernel = 3, stride = 2, padding = 1, cover_all = true }',
    "avg_pool, padding": '{ kind = "avg_pool", kernel = 3, stride = [STRIDE, 2], padding = [2, 0] }',
    # The optional keys of layers with weights.
    "linear, gain": '{ kind = "flatten" }, { kind = "linear", name = "m", units = 3, gain = "sqrt(2 / fan_in)" }',
    "conv, gain": '{ kind = "conv", name = "m", channels = 3, kernel = 2, stride = 1, padding = 0, gain = SLOPE }',
    "linear, spectral": '{ kind = "flatten" }, { kind = "linear", name = "m", units = 3, spectral_norm = SPECTRAL }',
    "conv, spectral": '{ kind = "conv", name = "m", channels = 3, kernel = 2, stride = STRIDE, padding = 1, '
    "gain = SLOPE, spectral_norm = SPECTRAL }",
    "deconv, spectral": '{ kind = "deconv", name = "m", channels = 2, kernel = 3, stride = 2, padding = 1, '
    "spectral_norm = SPECTRAL }",
}
ELSEWHERE = {
    "embedding",
    "one_hot",
    "conditional_batch_norm",
    "fade",
}  # kinds that test_layers tries in a conditional and in a growing system
# What joins a label to a vector in a conditional system.
CODES = {
    "embedding": '{ kind = "embedding", name = "e", from = "y", units = 3, weight = "normal(0, 1)" }, '
    '{ kind = "concat", from = ["FIRST", "e"] }',
    "one_hot": '{ kind = "one_hot", name = "e", from = "y", on = 1, off = -1 }, { kind = "concat", from = ["FIRST", "e"] }',
    "conditional_batch_norm": '{ kind = "conditional_batch_norm", name = "e", from = ["FIRST", "y"], epsilon = 1e-3, '
    'momentum = 0.2, gamma = "normal(1, 0.3)", beta = "normal(0, 1)" }',
}
CONDITIONAL = """
title = "conditional WGAN"
source = "none"
[draws]
c = { sample = "uniform(0, 4)", shape = "G.y" }
eps = { sample = "uniform(0, 1)", shape = [] }
[define]
x_hat = "detach(eps * x + (1 - eps) * G(z, y))"
[losses]
D = "mean(D(G(z, y), y)) - mean(D(x, y)) + mean((norm(grad(D(x_hat, y), x_hat)) - 1) ^ 2)"
G = "-mean(D(G(z, c), c))"
"""
CRITIC = """
title = "a critic with one kind of layer"
source = "none"
[constants]
c = 1
size = 1
[inputs]
x = ["c", "size", "size"]
[settings.conv]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[settings.deconv]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[settings.linear]
weight = "normal(0, 0.3)"
bias = "normal(0, 0.3)"
[network]
layers = [ MIDDLE,
  { kind = "tanh" }, { kind = "flatten" }, { kind = "linear", name = "out", units = 1 } ]
"""
SYSTEM = """
title = "WGAN-GP with a critic of one kind of layer"
source = "none"
loss = "wgan_gp"
schedule = { use = "critic_repeats", critic_steps = 1 }
[networks]
G = { use = "mlp_generator", latent = 3, width = 4, channels = CHANNELS, size = SIZE }
D = { use = "critic.toml", c = CHANNELS, size = SIZE }
[draws]
z = { sample = "normal(0, 1)", shape = "G.z" }
[optimizers]
kind = "adam"
learning_rate = 1e-3
beta1 = 0.5
beta2 = 0.9
# Large, so that Adam does not turn the rounding of a true gradient of 0 into a step: these tests are of layers.
epsilon = 1e-2
epsilon_place = "uncorrected"
[data]
shape = [CHANNELS, SIZE, SIZE]
range = [-1, 1]
fit = "exact"
[run]
batch = BATCH
epochs = 1
samples_every = 1
checkpoint_every = 1
grid = [1, 1]
moving_average = 1
"""


def write_system(folder, kind, channels=2, size=5, batch=4, kernel=3, stride=2, slope=0.3, advance="always"):
    spectral = f'{{ iterations = {stride}, epsilon = 1e-12, advance = "{advance}" }}'
    values = {"KERNEL": str(kernel), "STRIDE": str(stride), "SLOPE": str(slope), "SPECTRAL": spectral}
    values["GAMMA"] = 'gamma = "normal(1, 0.1)", beta = "normal(0, 1)"'
    middle = MIDDLES[kind]
    for word, value in values.items():
        middle = middle.replace(word, value)
    critic = CRITIC.replace("MIDDLE", middle)
    for name in ("conv", "deconv"):
        if f'"{name}"' not in middle:
            critic = critic.replace(f'[settings.{name}]\nweight = "normal(0, 0.3)"\nbias = "normal(0, 0.3)"\n', "")
    (folder / "critic.toml").write_text(critic)
    text = SYSTEM.replace("CHANNELS", str(channels)).replace("SIZE", str(size)).replace("BATCH", str(batch))
    (folder / "system.toml").write_text(text)
    return str(folder / "system.toml")


def write_conditional_system(folder, code):
    """Write a system whose networks read labels, with one of `CODES` in each, and load it."""
    (folder / "loss.toml").write_text(CONDITIONAL)
    joined = f"{CODES[code]},"
    image = f'{{ kind = "linear", name = "l", units = 9, {NORMAL} }}, {{ kind = "reshape", shape = [1, 3, 3] }}'
    networks = {
        "G": f"z = [2]\ny = {{ labels = 4 }} | {joined.replace('FIRST', 'z')} {image}",
        "D": critic(1, "", "x = [1, 3, 3]\ny = { labels = 4 }", joined.replace("FIRST", "pixels")),
    }
    return tiny_systems.write_system(folder, "loss.toml", networks, shape=(1, 3, 3), labels=4, batch=5)
