"""Which array of a link tree is which key of the ported module: for every link of Chainer, and for classes of one's own."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.names import LAYER_NAMES, arrays_of, values_of
from support.old_models import chainer_modules, make_net


def keys(link) -> dict[str, str | None]:
    return {array.chainer_path: array.torch_key for array in arrays_of(link)}


# Each link as Chainer 7.8.1 constructs it, and its keys. What is not renamed is a class of its own in the port.
LINKS = {
    "Linear(3, 2)": "W=weight b=bias",
    "Linear(3, 2, nobias=True)": "W=weight",
    "Convolution1D(3, 2, 1)": "W=weight b=bias",
    "Convolution2D(3, 2, 1)": "W=weight b=bias",
    "Convolution3D(3, 2, 1)": "W=weight b=bias",
    "ConvolutionND(2, 3, 2, 1)": "W=weight b=bias",
    "Deconvolution1D(3, 2, 1)": "W=weight b=bias",
    "Deconvolution2D(3, 2, 1)": "W=weight b=bias",
    "Deconvolution3D(3, 2, 1)": "W=weight b=bias",
    "DeconvolutionND(2, 3, 2, 1)": "W=weight b=bias",
    "DilatedConvolution2D(3, 2, 1)": "W=weight b=bias",
    "DepthwiseConvolution2D(3, 2, 1)": "W=weight b=bias",
    "EmbedID(3, 2)": "W=weight",
    "PReLU((3,))": "W=weight",
    "BatchNormalization(3)": "beta=bias gamma=weight N=num_batches_tracked avg_mean=running_mean avg_var=running_var",
    "BatchNormalization(3, use_gamma=False)": "beta=bias N=num_batches_tracked avg_mean=running_mean avg_var=running_var",
    "BatchRenormalization(3)": "beta=bias gamma=weight N=num_batches_tracked avg_mean=running_mean avg_var=running_var",
    "LayerNormalization(3)": "beta=bias gamma=weight",
    "GroupNormalization(1, 3)": "beta=bias gamma=weight",
    "DecorrelatedBatchNormalization(4)": "N=N avg_mean=avg_mean avg_projection=avg_projection",
    "LocalConvolution2D(3, 2, (4, 4), 1)": "W=W b=b",
    "DeformableConvolution2D(3, 2, 1)": "deform_conv/W=deform_conv.W deform_conv/b=deform_conv.b "
    "offset_conv/W=offset_conv.weight offset_conv/b=offset_conv.bias",
    "Bias(1, (3,))": "b=b",
    "Scale(1, (3,), bias_term=True)": "W=W bias/b=bias.b",
    "Bilinear(2, 3, 4)": "V1=V1 V2=V2 W=W b=b",
    "Maxout(3, 2, 2)": "linear/W=linear.weight linear/b=linear.bias",
    "Highway(3)": "plain/W=plain.weight plain/b=plain.bias transform/W=transform.weight transform/b=transform.bias",
    "MLPConvolution2D(3, (2, 2), 1)": "0/W=0.weight 0/b=0.bias 1/W=1.weight 1/b=1.bias",
    "SimplifiedDropconnect(3, 2)": "W=W b=b",
    "Swish((3,))": "beta=beta",
    "Parameter(np.zeros(3))": "W=W",
    "LSTM(3, 2)": "lateral/W=lateral.weight upward/W=upward.weight upward/b=upward.bias",
    "StatelessLSTM(3, 2)": "lateral/W=lateral.weight upward/W=upward.weight upward/b=upward.bias",
    "StatefulMGU(3, 2)": "W_f/W=W_f.weight W_f/b=W_f.bias W_h/W=W_h.weight W_h/b=W_h.bias",
    "NStepLSTM(1, 3, 2, 0)": " ".join(f"0/{n}{i}=0.{n}{i}" for n in "bw" for i in range(8)),
    "NStepGRU(1, 3, 2, 0)": " ".join(f"0/{n}{i}=0.{n}{i}" for n in "bw" for i in range(6)),
    "NStepBiRNNTanh(1, 3, 2, 0)": " ".join(f"{d}/{n}{i}={d}.{n}{i}" for d in (0, 1) for n in "bw" for i in (0, 1)),
    "NegativeSampling(3, [1, 2, 3], 2)": "W=W",
    "BlackOut(3, [1, 2, 3], 2)": "W=W",
    "CRF1d(3)": "cost=cost",
    "BinaryHierarchicalSoftmax(3, ((0, 1), 2))": "W=W",
    "Classifier(chainer.links.Linear(3, 2))": "predictor/W=predictor.weight predictor/b=predictor.bias",
}


@pytest.mark.parametrize("text", LINKS)
def test_a_link_of_chainer_has_these_keys(text) -> None:
    chainer = chainer_modules()
    link = eval(f"chainer.links.{text}", {"chainer": chainer, "np": np})
    assert keys(link) == dict(pair.split("=") for pair in LINKS[text].split())


def test_gru_and_inception_name_their_linear_layers_alone() -> None:
    L = chainer_modules().links
    for link in (L.GRU(3, 2), L.StatelessGRU(3, 2), L.Inception(3, 2, 2, 2, 2, 2, 2), L.StatefulPeepholeLSTM(3, 2)):
        for array in arrays_of(link):
            path, _, name = array.chainer_path.rpartition("/")
            assert array.torch_key == f"{path}.{ {'W': 'weight', 'b': 'bias'}[name] }"


def test_every_link_of_chainer_that_has_arrays_was_tried() -> None:
    L = chainer_modules().links
    tried = {text.partition("(")[0] for text in LINKS}
    # Chains of links that are tried, or bases of what is tried.
    composed = {
        "GRU", "StatefulGRU", "StatelessGRU", "Inception", "InceptionBN", "StatefulPeepholeLSTM", "StatefulZoneoutLSTM",
        "ChildSumTreeLSTM", "NaryTreeLSTM", "StatelessMGU", "CaffeFunction", "TheanoFunction", "VGG16Layers", "VGG19Layers",
        "GoogLeNet", "ResNetLayers", "ResNet50Layers", "ResNet101Layers", "ResNet152Layers",
        "NStepBiLSTM", "NStepBiGRU", "NStepRNNTanh", "NStepRNNReLU", "NStepBiRNNReLU",
    }  # fmt: skip
    there = {
        name for name, value in vars(L).items() if inspect.isclass(value) and issubclass(value, chainer_modules().Link)
    }
    assert there - composed == tried
    assert set(LAYER_NAMES) <= tried


# Links that become a layer of torch.nn: the arrays load strictly, and the outputs agree.
LAYERS = {
    "Linear(3, 2)": ("Linear(3, 2)", (4, 3)),
    "Convolution1D(3, 2, 2)": ("Conv1d(3, 2, 2)", (4, 3, 5)),
    "Convolution2D(4, 2, 3, groups=2)": ("Conv2d(4, 2, 3, groups=2)", (4, 4, 5, 5)),
    "Convolution3D(3, 2, 2)": ("Conv3d(3, 2, 2)", (2, 3, 3, 3, 3)),
    "Deconvolution2D(3, 2, 4, 2, 1)": ("ConvTranspose2d(3, 2, 4, 2, 1)", (4, 3, 5, 5)),
    "Deconvolution3D(3, 2, 2)": ("ConvTranspose3d(3, 2, 2)", (2, 3, 3, 3, 3)),
    "DilatedConvolution2D(3, 2, 2, dilate=2)": ("Conv2d(3, 2, 2, dilation=2)", (4, 3, 5, 5)),
    "PReLU((3,))": ("PReLU(3)", (4, 3)),
    "BatchNormalization(3)": ("BatchNorm1d(3, eps=2e-5)", (4, 3)),
    "LayerNormalization(3)": ("LayerNorm(3, eps=1e-6)", (4, 3)),
    "GroupNormalization(2, 4)": ("GroupNorm(2, 4)", (3, 4, 5)),
}


@pytest.mark.parametrize("text", LAYERS)
def test_a_layer_of_torch_loads_the_arrays_and_computes_the_same(both_backends, text) -> None:
    import torch

    chainer = chainer_modules()
    layer, shape = LAYERS[text]
    link = eval(f"chainer.links.{text}", {"chainer": chainer})
    module = eval(f"torch.nn.{layer}", {"torch": torch}).eval()
    if text == "GroupNormalization(2, 4)":
        link(np.zeros(shape, np.float32))  # it takes its shape from the first input
    for array in values_of(link).values():
        if array.dtype == np.float32:
            array[...] = np.random.uniform(0.5, 1.5, array.shape)  # the link's own memory
    state = {
        array.torch_key: torch.from_numpy(np.array(values_of(link)[array.chainer_path])) for array in arrays_of(link)
    }
    module.load_state_dict(state, strict=True)
    x = np.random.standard_normal(shape).astype(np.float32)
    with chainer.using_config("train", False):
        expected = link(x).array
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_tree_keeps_its_names_and_a_sequential_counts_its_functions() -> None:
    net = make_net()
    assert keys(net)["blocks/1/W"] == "blocks.1.weight"
    assert keys(net)["scale"] == "scale"
    assert keys(net)["seen"] == "seen"
    assert keys(net)["tail/0/W"] == "tail.1.weight"  # nn.Sequential: relu is 0, the layer 1
    assert keys(net)["tail/1/W"] == "tail.3.weight"
    trained = {array.chainer_path: array.trained for array in arrays_of(net)}
    assert trained["bn/gamma"]
    assert not trained["bn/avg_mean"]
    assert not trained["seen"]


def test_a_sequential_of_three_links_keeps_its_layers_places() -> None:
    """Chainer numbers the links of a Sequential of three or more in another order than they stand in."""
    chainer = chainer_modules()
    L, F = chainer.links, chainer.functions
    link = chainer.Sequential(L.Linear(2, 3), F.relu, L.Linear(3, 4), F.relu, L.Linear(4, 5), L.Linear(5, 6))
    places = {key: array.shape for array in arrays_of(link) if (key := array.torch_key).endswith("weight")}
    assert places == {"0.weight": (3, 2), "2.weight": (4, 3), "4.weight": (5, 4), "5.weight": (6, 5)}


def test_a_class_of_ones_own_keeps_the_names_that_it_registers() -> None:
    chainer = chainer_modules()

    class Normalized(chainer.links.Convolution2D):
        def __init__(self) -> None:
            super().__init__(2, 3, 1)
            self.add_persistent("u", np.zeros((1, 3), np.float32))
            with self.init_scope():
                self.gamma = chainer.Parameter(np.ones(1, np.float32))

    class Own(chainer.Link):
        def __init__(self) -> None:
            super().__init__()
            with self.init_scope():
                self.W = chainer.Parameter(np.ones(1, np.float32))

    assert keys(Normalized()) == {"W": "weight", "b": "bias", "gamma": "gamma", "u": "u"}
    assert keys(Own()) == {"W": "W"}


def test_a_link_used_twice_stands_under_both_names() -> None:
    chainer = chainer_modules()
    layer = chainer.links.Linear(2, 2)
    link = chainer.Chain(a=layer, b=layer, c=chainer.links.Linear(2, 2))
    link.c.W = layer.W
    same = {array.chainer_path: array.same_as for array in arrays_of(link)}
    assert same == {"a/W": "a/W", "a/b": "a/b", "b/W": "a/W", "b/b": "a/b", "c/W": "a/W", "c/b": "c/b"}


def test_what_is_not_initialised_has_no_shape_and_no_value() -> None:
    L = chainer_modules().links
    link = chainer_modules().Chain(l=L.Linear(None, 2), bn=L.BatchNormalization(axis=0))
    shapes = {array.chainer_path: array.shape for array in arrays_of(link)}
    assert shapes["l/W"] is None
    assert shapes["l/b"] == (2,)
    assert shapes["bn/avg_var"] is None
    assert values_of(link)["l/W"] is None


def test_text_has_no_key() -> None:
    link = chainer_modules().Link()
    link.add_persistent("note", "hello")
    (array,) = arrays_of(link)
    assert (array.chainer_path, array.torch_key) == ("note", None)


def test_names_that_cannot_be_keys_are_refused() -> None:
    chainer = chainer_modules()

    class Own(chainer.links.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.add_persistent("weight", np.zeros(1))

    class Silent(chainer.links.Linear):
        def serialize(self, serializer) -> None:
            super().serialize(serializer)
            serializer("hidden", np.zeros(1))

    with pytest.raises(
        CarryError, match="the arrays W and weight would both be weight; rename one of them in the class"
    ):
        arrays_of(Own())
    with pytest.raises(
        CarryError, match=r"Silent: hidden is written by its own serialize\(\) only; register the value"
    ):
        arrays_of(Silent(2, 2))
    dotted = chainer.Chain()
    with dotted.init_scope():
        setattr(dotted, "a.b", chainer.links.Linear(2, 2))
    with pytest.raises(CarryError, match=r"Chain: the name 'a.b' cannot be part of a key"):
        arrays_of(dotted)


def test_a_name_that_a_module_of_torch_has_itself_ends_with_a_line(both_backends) -> None:
    chainer = chainer_modules()
    link = chainer.Chain(half=chainer.links.EmbedID(2, 2), l=chainer.links.EmbedID(2, 2))
    assert keys(link) == {"half/W": "half_.weight", "l/W": "l.weight"}
