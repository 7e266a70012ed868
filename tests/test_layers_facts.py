"""What layers compute, in both backends, against loops and numbers by hand: the places where frameworks differ."""

import numpy as np
import pytest

from support.one_network import evaluator


@pytest.fixture
def random():
    """Random numbers that are the same for a test, whichever tests ran before it."""
    return np.random.default_rng(0)


@pytest.fixture
def forward(backend, tmp_path):
    """Returns: a function that evaluates a network of the layers given as TOML, and what it leaves of its statistics."""
    return evaluator(backend, tmp_path)


@pytest.mark.parametrize(("kind", "reduce"), [("max_pool", np.max), ("avg_pool", np.mean)])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(5, 2, 2), (6, 3, 2), (5, 3, 1), (4, 4, 4)])
def test_pooling_takes_whole_windows_only(kind, reduce, size, kernel, stride, random, forward):
    x = random.standard_normal((2, 3, size, size))
    n = (size - kernel) // stride + 1  # Chainer's own default has one more where windows do not fit
    expected = np.zeros((2, 3, n, n))
    for i in range(n):
        for j in range(n):
            window = x[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            expected[:, :, i, j] = reduce(window, axis=(2, 3))
    found, _ = forward(f'{{ kind = "{kind}", kernel = {kernel}, stride = {stride} }}', x)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_max_pooling_leaves_out_what_is_beyond_the_last_whole_window(forward):
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 4, 4] = 9.0
    found, _ = forward('{ kind = "max_pool", kernel = 2, stride = 2 }', x)
    assert found.shape == (1, 1, 2, 2)
    assert found.max() == 0.0


def test_upsampling_repeats_every_pixel_and_gives_2n_and_not_2n_minus_1(forward):
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    found, _ = forward('{ kind = "upsample", factor = 2 }', x)
    assert found[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


@pytest.mark.parametrize(("size", "kernel", "padding", "before"), [(28, 7, [2, 3, 2, 3], 2), (8, 3, [0, 1, 0, 1], 0)])
def test_tensorflows_same_padding_at_stride_2_has_its_larger_half_after(size, kernel, padding, before, forward):
    row, column = 5, 2
    x = np.zeros((1, 1, size, size))
    x[0, 0, row, column] = 1.0
    w = np.arange(1.0, kernel**2 + 1).reshape(1, 1, kernel, kernel)
    layer = f'{{ kind = "conv", name = "c", channels = 1, kernel = {kernel}, stride = 2, padding = {padding}, '
    found, _ = forward(layer + 'weight = 0, bias = "none" }', x, {"c/W": w})
    assert found.shape == (1, 1, size // 2, size // 2)
    for i in range(size // 2):
        for j in range(size // 2):
            r, c = row - 2 * i + before, column - 2 * j + before  # where the pixel falls in this output's kernel
            inside = 0 <= r < kernel and 0 <= c < kernel
            assert found[0, 0, i, j] == (w[0, 0, r, c] if inside else 0.0)


def test_pixel_norm_divides_by_the_root_mean_square_of_the_channels(random, forward):
    x = random.standard_normal((2, 3, 2, 2))
    found, _ = forward('{ kind = "pixel_norm", epsilon = 0.25 }', x)
    for n, i, j in np.ndindex(2, 2, 2):
        v = x[n, :, i, j]
        np.testing.assert_allclose(found[n, :, i, j], v / np.sqrt((v @ v) / 3 + 0.25), rtol=1e-14)


def test_pixel_norm_of_a_latent_gives_it_the_length_of_the_root_of_its_size(random, forward):
    found, _ = forward('{ kind = "pixel_norm", epsilon = 1e-8 }', random.standard_normal((4, 512)))
    np.testing.assert_allclose((found**2).sum(axis=1), 512, rtol=1e-7)


NORM = "epsilon = 0.25, gamma = 0, beta = 0 }"


@pytest.mark.parametrize(("layer", "groups"), [
    ('"layer_norm"', [[0, 1, 2, 3]]), ('"instance_norm"', [[0], [1], [2], [3]]), ('"group_norm", groups = 2', [[0, 1], [2, 3]]),
])  # fmt: skip
def test_norms_within_a_sample_go_over_groups_of_channels_and_their_pixels(layer, groups, random, forward):
    x, shape = random.standard_normal((2, 4, 2, 3)), (4, 2, 3) if "layer" in layer else (4,)
    gamma, beta = random.standard_normal(shape), random.standard_normal(shape)
    own = {"m/gamma": gamma, "m/beta": beta}
    found, _ = forward(f'{{ name = "m", kind = {layer}, {NORM}', x, own)
    for n in range(2):
        for channels in groups:
            numbers = [v for c in channels for v in x[n, c].ravel()]
            mean = sum(numbers) / len(numbers)
            variance = sum((v - mean) ** 2 for v in numbers) / len(numbers)  # the biased one
            for c in channels:
                expected = gamma[c] * (x[n, c] - mean) / np.sqrt(variance + 0.25) + beta[c]
                np.testing.assert_allclose(found[n, c], expected, rtol=1e-13)
    other, _ = forward(f'{{ name = "m", kind = {layer}, {NORM}', x, own, training=False)
    assert np.array_equal(other, found), "it knows no running statistics"


@pytest.mark.parametrize("training", [True, False])
def test_conditional_batch_norm_takes_gamma_and_beta_of_the_samples_label(training, random, forward):
    x, labels = random.standard_normal((5, 2, 2, 2)), np.array([2, 0, 2, 1, 0])
    gamma, beta = random.standard_normal((3, 2)), random.standard_normal((3, 2))
    statistics = {"m/mean": np.array([0.5, -1.0]), "m/variance": np.array([2.0, 0.1])}
    layer = '{ name = "m", kind = "conditional_batch_norm", from = ["x", "y"], momentum = 0.1, ' + NORM
    shapes = "x = [2, 2, 2]\ny = { labels = 3 }"
    found, moved = forward(
        layer, x, {"m/gamma": gamma, "m/beta": beta}, statistics, training=training, inputs=shapes, others=[labels]
    )
    plain, wanted = forward(
        f'{{ name = "m", kind = "batch_norm", momentum = 0.1, {NORM}', x, {"m/gamma": np.ones(2), "m/beta": np.zeros(2)},
        statistics, training=training,
    )  # fmt: skip
    for n, label in enumerate(labels):
        for c in range(2):
            np.testing.assert_allclose(
                found[n, c], gamma[label, c] * plain[n, c] + beta[label, c], rtol=1e-13, atol=1e-14
            )
    assert all(np.array_equal(moved[path], wanted[path]) for path in statistics)


@pytest.mark.parametrize("n", [1, 3, 5, 9])
def test_local_response_norm_sums_the_nearest_channels_and_does_not_divide_alpha_by_their_number(n, random, forward):
    x = random.standard_normal((2, 4, 1, 2))
    found, _ = forward(f'{{ kind = "local_response_norm", n = {n}, k = 2, alpha = 0.5, beta = 0.75 }}', x)
    for c in range(4):
        near = [j for j in range(4) if abs(j - c) <= n // 2]
        expected = x[:, c] / (2 + 0.5 * sum(x[:, j] ** 2 for j in near)) ** 0.75
        np.testing.assert_allclose(found[:, c], expected, rtol=1e-13)


def test_normalize_adds_epsilon_to_the_norm_and_does_not_clamp_it(forward):
    found, _ = forward('{ kind = "normalize", epsilon = 0.5 }', np.array([[3.0, 4.0], [0.0, 0.0], [0.06, 0.08]]))
    np.testing.assert_allclose(found, [[3 / 5.5, 4 / 5.5], [0, 0], [0.1, 0.4 / 3]], rtol=1e-14)


@pytest.mark.parametrize(("per", "shape"), [("layer", ()), ("channel", (2,)), ("number", (2, 1, 2))])
def test_a_trained_number_is_that_of_the_layer_the_channel_or_the_number(per, shape, random, forward):
    x, own = random.standard_normal((3, 2, 1, 2)), random.standard_normal(shape)
    along = own.reshape(shape + (1,) * (3 - len(shape)))
    for kind, key, name, expected in (
        ("prelu", "slope", "W", np.where(x > 0, x, along * x)), ("trained_scale", "factor", "W", along * x),
        ("bias", "bias", "b", along + x), ("swish", "beta", "beta", x / (1 + np.exp(-along * x))),
    ):  # fmt: skip
        found, _ = forward(f'{{ kind = "{kind}", name = "m", per = "{per}", {key} = 0 }}', x, {f"m/{name}": own})
        np.testing.assert_allclose(found, expected, rtol=1e-14, err_msg=kind)


def test_max_pooling_that_covers_all_takes_what_is_left_at_the_edge(forward):
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 4, 4] = 9.0
    found, _ = forward('{ kind = "max_pool", kernel = 2, stride = 2, cover_all = true }', x - 10.0)
    assert found.tolist() == [[[[-10, -10, -10], [-10, -10, -10], [-10, -10, -1]]]]


def test_average_pooling_counts_padding_as_0(forward):
    found, _ = forward('{ kind = "avg_pool", kernel = 2, stride = 2, padding = 1 }', np.full((1, 1, 2, 2), 4.0))
    assert found.tolist() == [[[[1, 1], [1, 1]]]]


def test_max_pooling_never_takes_padding(forward):
    found, _ = forward('{ kind = "max_pool", kernel = 3, stride = 1, padding = 2 }', np.full((1, 1, 2, 2), -4.0))
    assert (found == -4.0).all()
    assert found.shape == (1, 1, 4, 4)


def test_a_group_of_channels_is_made_of_its_own_group_alone(random, forward):
    x, w = random.standard_normal((2, 4, 3, 3)), random.standard_normal((6, 2, 2, 2))
    shared = 'kernel = 2, stride = 1, padding = 0, weight = 0, bias = "none" }'
    found, _ = forward(f'{{ kind = "conv", name = "c", channels = 6, groups = 2, {shared}', x, {"c/W": w})
    for group in range(2):
        inside, out = slice(2 * group, 2 * group + 2), slice(3 * group, 3 * group + 3)
        expected, _ = forward(f'{{ kind = "conv", name = "c", channels = 3, {shared}', x[:, inside], {"c/W": w[out]})
        np.testing.assert_allclose(found[:, out], expected, rtol=1e-13)


def test_a_dilated_kernel_is_a_larger_one_with_zeros_between(random, forward):
    x, w, large = random.standard_normal((2, 1, 6, 5)), random.standard_normal((2, 1, 2, 2)), np.zeros((2, 1, 4, 3))
    large[:, :, ::3, ::2] = w
    shared = 'channels = 2, stride = [1, 2], padding = [1, 0, 2, 1], weight = 0, bias = "none" }'
    found, _ = forward(f'{{ kind = "conv", name = "c", kernel = 2, dilation = [3, 2], {shared}', x, {"c/W": w})
    expected, _ = forward(f'{{ kind = "conv", name = "c", kernel = [4, 3], {shared}', x, {"c/W": large})
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_minibatch_std_appends_one_channel_with_the_mean_deviation_over_the_batch(random, forward):
    x = random.standard_normal((4, 2, 3, 3))
    found, _ = forward('{ kind = "minibatch_std", epsilon = 1e-8 }', x)
    deviations = []
    for place in np.ndindex(2, 3, 3):
        values = x[(slice(None), *place)]
        average = sum(values) / 4
        deviations.append(np.sqrt(sum((v - average) ** 2 for v in values) / 4 + 1e-8))  # by 4, not by 3
    assert found.shape == (4, 3, 3, 3)
    assert np.array_equal(found[:, :2], x)
    np.testing.assert_allclose(found[:, 2], np.mean(deviations), rtol=1e-13)


def test_minibatch_discrimination_sums_over_the_other_samples_only(random, forward):
    x = random.standard_normal((4, 6))
    found, _ = forward('{ kind = "minibatch_discrimination", kernels = 3, dimensions = 2 }', x)
    m = x.reshape(4, 3, 2)
    for i in range(4):
        for b in range(3):
            others = [np.exp(-abs(m[i, b] - m[j, b]).sum()) for j in range(4) if j != i]
            assert found[i, b] == pytest.approx(sum(others), rel=1e-13)


def test_one_hot_codes_have_the_two_values_that_are_asked_for(forward):
    found, _ = forward('{ kind = "one_hot", on = 1, off = -1 }', np.array([2, 0]), inputs="x = { labels = 3 }")
    assert found.tolist() == [[-1, -1, 1], [1, -1, -1]]
    assert found.dtype == np.float64


def test_planes_are_filled_with_one_number_each(forward):
    found, _ = forward('{ kind = "planes", height = 2, width = 3 }', np.array([[1.0, 2.0]]))
    assert found.tolist() == [[[[1, 1, 1], [1, 1, 1]], [[2, 2, 2], [2, 2, 2]]]]


@pytest.mark.parametrize("a", [0.0, 0.25, 1.0])
def test_fade_goes_from_its_first_input_to_its_second(a, random, forward):
    x = random.standard_normal((2, 3))
    layers = '{ kind = "tanh", name = "t" }, { kind = "fade", from = ["x", "t"] }'
    found, _ = forward(layers, x, fade=a)
    np.testing.assert_allclose(found, (1 - a) * x + a * np.tanh(x), rtol=1e-14)


def test_a_gain_multiplies_the_weight_and_not_the_bias(random, forward):
    x, w, b = (random.standard_normal(shape) for shape in ((2, 8), (3, 8), 3))
    layer = '{ kind = "linear", name = "l", units = 3, weight = "normal(0, 1)", bias = 0, gain = "sqrt(2 / fan_in)" }'
    found, _ = forward(layer, x, {"l/W": w, "l/b": b})
    np.testing.assert_allclose(found, x @ (0.5 * w).T + b, rtol=1e-13)


SPECTRAL = (
    'weight = "normal(0, 1)", bias = "none", '
    'spectral_norm = { iterations = ITERATIONS, epsilon = 1e-12, advance = "ADVANCE" } }'
)
LINEAR = '{ kind = "linear", name = "l", units = 4, ' + SPECTRAL
CONV = '{ kind = "conv", name = "l", channels = 4, kernel = 2, stride = 1, padding = 0, ' + SPECTRAL
DECONV = '{ kind = "deconv", name = "l", channels = 4, kernel = 2, stride = 1, padding = 0, ' + SPECTRAL


def spectral(text, iterations, advance="always"):
    return text.replace("ITERATIONS", str(iterations)).replace("ADVANCE", advance)


@pytest.mark.parametrize(
    ("text", "shape", "weight"),
    [(LINEAR, (2, 6), (4, 6)), (CONV, (2, 3, 2, 2), (4, 3, 2, 2)), (DECONV, (2, 3, 1, 1), (3, 4, 2, 2))],
)
def test_spectral_norm_divides_by_the_largest_singular_value(text, shape, weight, random, forward):
    # With one output pixel a convolution is a matrix; a deconvolution's matrix has one row for each input channel.
    x, w, u = random.standard_normal(shape), random.standard_normal(weight), random.standard_normal(weight[0])
    found, kept = forward(spectral(text, 400), x, {"l/W": w}, {"l/u": u})
    matrix = w.reshape(len(w), -1)
    left, values, _ = np.linalg.svd(matrix)
    out = x.reshape(2, -1) @ (matrix if text == DECONV else matrix.T) / values[0]
    np.testing.assert_allclose(found.reshape(2, -1), out, rtol=1e-10)
    assert abs(kept["l/u"] @ left[:, 0]) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("advance", "training", "moves"), [
    ("always", True, True), ("always", False, True), ("training", True, True), ("training", False, False),
])  # fmt: skip
def test_spectral_norms_vector_makes_one_step_an_evaluation(advance, training, moves, random, forward):
    x, w, u = random.standard_normal((2, 6)), random.standard_normal((4, 6)), random.standard_normal(4)
    found, kept = forward(spectral(LINEAR, 1, advance), x, {"l/W": w}, {"l/u": u}, training=training)
    v = w.T @ u / (np.linalg.norm(w.T @ u) + 1e-12)  # the layer's epsilon
    step = w @ v / (np.linalg.norm(w @ v) + 1e-12)
    # The estimate is that of the step also where the vector is not kept.
    np.testing.assert_allclose(found, x @ w.T / (step @ w @ v), rtol=1e-12)
    np.testing.assert_allclose(kept["l/u"], step if moves else u, rtol=1e-12)


def test_one_power_iteration_is_not_yet_the_largest_singular_value(random, forward):
    x, w, u = random.standard_normal((2, 6)), random.standard_normal((4, 6)), random.standard_normal(4)
    once, _ = forward(spectral(LINEAR, 1), x, {"l/W": w}, {"l/u": u})
    often, _ = forward(spectral(LINEAR, 400), x, {"l/W": w}, {"l/u": u})
    assert abs(once / often - 1).max() > 1e-3
