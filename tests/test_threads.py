"""Work on NumPy's arrays that threads share: every part is done once, and the numbers are those of one thread."""

import itertools

import numpy as np
import pytest

pytest.importorskip("ganspec.impl_chainer", reason="needs Chainer", exc_type=ImportError)

import chainer
import chainer.functions as F

from ganspec.impl_chainer import batch_norm, convolution, optimizers, spectral_norm
from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.convolution import Convolution, Kernels, TransposedConvolution, WeightGradient
from ganspec.impl_chainer.spectral_norm import SpectralNorm, divided
from ganspec.impl_chainer.threads import Threads, in_pieces
from ganspec.impl_chainer.windows import Windows
from ganspec.spec import load_system
from ganspec.tools.agreement import crosscheck_system


@pytest.fixture(params=[1, 2, 3])
def threads(request, monkeypatch):
    """The threads of the process, as many as a parameter says, inside of `alone`, with parts that are as small as can be."""
    from ganspec.impl_chainer import threads

    monkeypatch.setattr(threads, "limit_blas", lambda: (request.param, lambda: None))
    monkeypatch.setattr(convolution, "WORTH", 1)
    monkeypatch.setattr(convolution, "ROWS", 1)
    for module in (threads, spectral_norm):
        monkeypatch.setattr(module, "PIECE", 8)
    with threads.THREADS.alone():
        yield threads.THREADS
    threads.THREADS._forget()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 12])
def test_every_thing_is_worked_on_once_and_results_come_in_order(threads, count):
    things = list(range(count))
    parts = threads.over(count, lambda part: things[part])
    assert list(itertools.chain(*parts)) == things
    assert len(parts) <= threads.number()
    assert len(parts) == threads.number() or count < 12
    assert in_pieces(count, 4, lambda part: things[part]) == [things[i : i + 2] for i in range(0, count, 2)]


def test_a_part_has_no_threads_to_share_and_numpys_treatment_of_errors(threads):
    with np.errstate(divide="raise"):
        found = threads.over(6, lambda part: (threads.number(), np.geterr()["divide"]))
    assert set(found) == ({(1, "raise")} if threads.number() > 1 else {(threads.number(), "raise")})


def test_an_error_of_a_part_is_raised_when_all_others_are_done(threads):
    done = []

    def work(part):
        if part.start == 0:
            raise ValueError("first part")
        done.append(part)

    with pytest.raises(ValueError, match="first part"):
        threads.over(6, work)
    assert len(done) == threads.number() - 1


def test_blas_has_one_thread_inside_and_its_own_number_after_it():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    blas, threads = threadpoolctl.ThreadpoolController().select(user_api="blas"), Threads()

    def told():
        return {library.num_threads for library in blas.lib_controllers}

    with blas.limit(limits=2):
        assert threads.over(8, lambda part: part) == [slice(0, 8)]
        with threads.alone():
            with pytest.raises(ZeroDivisionError), threads.alone():
                raise ZeroDivisionError
            assert (threads.number(), told()) == (2, {1})
        assert (threads.number(), told()) == (1, {2})


def test_without_threadpoolctl_there_is_one_thread(monkeypatch):
    from ganspec.impl_chainer import threads

    monkeypatch.setattr(threads, "_blas", lambda: None)
    own = Threads()
    with own.alone():
        assert own.number() == 1
        assert own.over(8, lambda part: part) == [slice(0, 8)]


def test_convolutions_are_those_of_one_thread(threads, monkeypatch):
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(6, 4, 5, 5)), rng.normal(size=(6, 2, 3, 3))
    windows = Windows((5, 5), (3, 3), (3, 3), (2, 2), (1, 1))
    y = rng.normal(size=(6, 6, 3, 3))

    def products():
        kernels = Kernels(W, 2)
        maps = ((Convolution, (x, W)), (TransposedConvolution, (y, W)), (WeightGradient, (x, y)))
        return [kind(windows, kernels).product(*given) for kind, given in maps]

    shared = products()
    monkeypatch.setattr(convolution, "WORTH", 1 << 30)
    monkeypatch.setattr(convolution, "ROWS", 1 << 30)
    alone = products()
    for a, b in zip(shared, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(6, 3, 4, 5), (7, 3)])
def test_batch_norm_is_chainers_to_the_second_derivative(threads, shape):
    rng = np.random.default_rng(0)
    x, g = (Array(rng.normal(size=shape) + 2) for _ in range(2))
    gamma, beta = (Array(rng.normal(size=3)) for _ in range(2))

    def results(function):
        mean, variance = np.zeros(3), np.ones(3)
        y = function(mean, variance)
        once = chainer.grad([y], [x, gamma, beta], grad_outputs=[g])
        twice = chainer.grad([y], [x, gamma], grad_outputs=[g], enable_double_backprop=True)
        again = chainer.grad([F.sum(twice[0] ** 3) + F.sum(twice[1])], [x, gamma, g])
        return [mean, variance, y.array, *(a.array for a in (*once, *twice, *again))]

    ours = results(
        lambda mean, variance: batch_norm.batch_norm(
            x, gamma, beta, epsilon=1e-3, mean=mean, variance=variance, momentum=0.25
        )
    )
    theirs = results(
        lambda mean, variance: F.batch_normalization(
            x, gamma, beta, eps=1e-3, running_mean=mean, running_var=variance, decay=0.75
        )
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (6, 7)])
def test_spectral_norm_is_a_division_to_the_second_derivative(threads, shape):
    rng = np.random.default_rng(0)
    W, g = (Array(rng.normal(size=shape)) for _ in range(2))
    u, v = rng.normal(size=6), rng.normal(size=W.size // 6)
    s = u @ spectral_norm.matrix(W.array) @ v

    def results(y):
        once = chainer.grad([y], [W], grad_outputs=[g])
        twice = chainer.grad([y], [W], grad_outputs=[g], enable_double_backprop=True)
        return [y.array, *(a.array for a in (*once, *twice, *chainer.grad([F.sum(twice[0] ** 3)], [W, g])))]

    for a, b in zip(results(SpectralNorm(u, v, s).apply((W,))[0]), results(divided(W, u, v)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * abs(b).max())


def test_an_optimiser_moves_every_number_as_one_thread_does(threads, monkeypatch):
    definition, rng = load_system("dcgan_cifar10").optimizers["D"], np.random.default_rng(0)
    start, gradient = rng.normal(size=40), rng.normal(size=40)
    moved = []
    for piece in (3, 100):  # the second is one piece, and so one thread's
        monkeypatch.setattr("ganspec.impl_chainer.threads.PIECE", piece)
        vector = Array(start.copy())
        optimizer = optimizers.KINDS["adam"](definition, 40, ArrayContext("cpu", "float64"))
        optimizer.update(vector, [(0, Array(gradient[:20])), (23, Array(gradient[23:]))])
        moved.append(vector.array)
    np.testing.assert_array_equal(moved[0], moved[1])
    assert (moved[0] != start).sum() == 37


@pytest.mark.usefixtures("both_backends", "threads")
@pytest.mark.parametrize("name", ["dcgan_cifar10", "sndcgan_cifar10"])
def test_what_is_done_for_large_arrays_agrees(name, monkeypatch):
    """All of it in tiny pieces, and in PyTorch all convolutions that can be as products."""
    from ganspec.impl_torch import patches

    monkeypatch.setattr(patches, "WORTH", 1)
    comparison = crosscheck_system(load_system(name, reduced=True), iterations=1)
    assert comparison.agrees, comparison
