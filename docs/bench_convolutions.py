"""Time libraries on the convolutions of one critic, on the CPU: python docs/bench_convolutions.py [BATCH]

For each of the seven convolutions of `wgan_gp_cifar10`'s critic: the forward map, the gradient of the weights and the gradient of
the image, float32, of NumPy arrays. A line has the sums over the seven, in milliseconds, of the best of five calls. Libraries
that are not installed are left out. ONNX Runtime computes the gradient of the weights as a convolution whose batch and channels
are exchanged.
"""

import importlib
import sys
import time
from functools import partial

import numpy as np

LAYERS = [  # channels in, out, kernel, stride, height and width; padding 1
    (3, 64, 3, 1, 32), (64, 128, 4, 2, 32), (128, 128, 3, 1, 16), (128, 256, 4, 2, 16), (256, 256, 3, 1, 8),
    (256, 512, 4, 2, 8), (512, 512, 3, 1, 4),
]  # fmt: skip


def ours(x, W, g, stride):
    """Returns: three calls. Args: x, W, g: image, weights, gradient of the output."""
    importlib.import_module("ganspec.impl_chainer")
    made = importlib.import_module("ganspec.impl_chainer.convolution")
    # As they are inside of a network: the channels of a pixel next to one another in memory.
    x, g = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, g))
    where = made.Windows(x.shape[2:], g.shape[2:], W.shape[2:], (stride, stride), (1, 1))
    return [
        lambda: made.Convolution(where, made.Kernels(W, 1)).product(x, W),
        lambda: made.WeightGradient(where, made.Kernels(W, 1)).product(x, g),
        lambda: made.TransposedConvolution(where, made.Kernels(W, 1)).product(g, W),
    ]


def torch(x, W, g, stride):
    """Returns: three calls of PyTorch."""
    library = importlib.import_module("torch")
    x, W, g = (library.from_numpy(a) for a in (x, W, g))
    backward = partial(
        library.ops.aten.convolution_backward, g, x, W, None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1
    )
    return [
        lambda: library.nn.functional.conv2d(x, W, None, stride, 1),
        lambda: backward([False, True, False]),
        lambda: backward([True, False, False]),
    ]


def onnxruntime(x, W, g, stride):
    """Returns: three calls of ONNX Runtime."""
    library, helper = importlib.import_module("onnxruntime"), importlib.import_module("onnx").helper

    def session(kind, first, second, shape, **attributes):
        kinds = [
            helper.make_tensor_value_info(n, 1, s) for n, s in (("a", first.shape), ("b", second.shape), ("r", shape))
        ]
        graph = helper.make_graph([helper.make_node(kind, ["a", "b"], ["r"], **attributes)], kind, kinds[:2], kinds[2:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return library.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    exchanged = lambda a: np.ascontiguousarray(a.transpose(1, 0, 2, 3))  # noqa: E731
    unseen = (x.shape[2] + 2 - W.shape[2]) % stride
    strides, pads = [stride] * 2, [1] * 4
    forward = session("Conv", x, W, g.shape, strides=strides, pads=pads)
    weights = session(
        "Conv", exchanged(x), exchanged(g), exchanged(W).shape, dilations=strides, pads=[1, 1, 1 - unseen, 1 - unseen]
    )
    back = session("ConvTranspose", g, W, x.shape, strides=strides, pads=pads)
    return [
        lambda: forward.run(None, {"a": x, "b": W}),
        lambda: weights.run(None, {"a": exchanged(x), "b": exchanged(g)}),
        lambda: back.run(None, {"a": g, "b": W}),
    ]


def jax(x, W, g, stride):
    """Returns: three calls of JAX."""
    library = importlib.import_module("jax")
    convolution = partial(library.lax.conv_general_dilated, window_strides=(stride, stride), padding=((1, 1), (1, 1)))
    forward = library.jit(convolution)
    weights = library.jit(lambda x, W, g: library.vjp(lambda W: convolution(x, W), W)[1](g)[0])
    back = library.jit(lambda x, W, g: library.vjp(lambda x: convolution(x, W), x)[1](g)[0])
    return [
        lambda: np.asarray(forward(x, W)),
        lambda: np.asarray(weights(x, W, g)),
        lambda: np.asarray(back(x, W, g)),
    ]


def best(call):
    """Returns: milliseconds of the best of five calls, after one that is not timed."""
    call()
    found = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - start))
    return min(found)


def main(batch):
    """Print the table."""
    print(f"{'':<14}{'forward':>10}{'weights':>10}{'image':>10}{'sum':>10}")
    for library in (ours, torch, onnxruntime, jax):
        rng, sums = np.random.default_rng(0), np.zeros(3)
        try:
            for inside, outside, kernel, stride, size in LAYERS:
                count = (size + 2 - kernel) // stride + 1
                shapes = (
                    (batch, inside, size, size),
                    (outside, inside, kernel, kernel),
                    (batch, outside, count, count),
                )
                calls = library(*(rng.normal(size=shape).astype(np.float32) for shape in shapes), stride)
                sums += [best(call) for call in calls]
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            print(f"{library.__name__:<14}" + (f"not installed (pip install {missing})" if missing else str(error)))
            continue
        print(f"{library.__name__:<14}" + "".join(f"{value:>10.1f}" for value in (*sums, sums.sum())), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2 or not all(argument.isdecimal() and int(argument) > 0 for argument in sys.argv[1:]):
        sys.exit(__doc__)
    main(int(sys.argv[1]) if len(sys.argv) == 2 else 16)
