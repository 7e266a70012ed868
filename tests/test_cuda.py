"""Rounding on CUDA, and what computing on a device must not change: the bits of captured, resumed and device-drawn runs."""

import contextlib
import operator
import threading
import types

import pytest

from ganspec.spec import load_system
from ganspec.spec.training.in_force import InForce
from ganspec.spec.training.options import check_cuda, check_precision
from ganspec.spec.training.record import _cuda
from ganspec.tools import backends
from ganspec.tools.cuda.checks import CHECKS
from support.programs import here

SYSTEM = "gan_mlp_mnist"


@pytest.mark.gpu
@pytest.mark.parametrize("check", CHECKS)
def test_a_check_finds_nothing_on_a_device(check, backend):
    try:
        backends.load(backend).ArrayContext("cuda", "float32")
    except backends.load(backend).DeviceError as error:
        pytest.skip(str(error))
    assert [row for row in CHECKS[check](backend, "cuda") if not row["ok"]] == []


def test_rounding_is_set_while_it_is_in_force_and_put_back():
    torch = pytest.importorskip("torch")
    from ganspec.impl_torch.precision import Math

    def settings():
        b = torch.backends
        words = b.cuda.matmul.fp32_precision, b.cudnn.conv.fp32_precision
        return (*words, b.cudnn.deterministic, b.cudnn.benchmark)

    before = settings()
    with Math(tf32=False, tune=False):
        assert settings() == ("ieee", "ieee", True, False)
        with Math(tf32=False, tune=False):
            assert settings() == ("ieee", "ieee", True, False)
        assert settings() == ("ieee", "ieee", True, False)
    assert settings() == before
    with Math(tf32=True, tune=True):
        assert settings() == ("tf32", "tf32", False, True)
    assert settings() == before
    with pytest.raises(KeyError), Math(tf32=True, tune=False):
        raise KeyError
    assert settings() == before
    assert torch.backends.cudnn.allow_tf32 is True, "PyTorch's older switch can be read as before"


def test_older_pytorch_has_switches_in_place_of_words(monkeypatch):
    torch = pytest.importorskip("torch")
    from ganspec.impl_torch import precision

    class Backends:
        class cuda:
            class matmul:
                allow_tf32 = False

        class cudnn:
            allow_tf32, deterministic, benchmark = True, False, True

    monkeypatch.setattr(torch, "backends", Backends)
    with precision.Math(tf32=False, tune=False):
        assert (Backends.cuda.matmul.allow_tf32, Backends.cudnn.allow_tf32) == (False, False)
        assert (Backends.cudnn.deterministic, Backends.cudnn.benchmark) == (True, False)
    assert (Backends.cudnn.allow_tf32, Backends.cudnn.deterministic, Backends.cudnn.benchmark) == (True, False, True)


class Word:
    """A setting of PyTorch that follows another one until it has a word of its own."""

    def __init__(self, follows=None, own="none", default="none"):
        self.__dict__.update(follows=follows, own=own, default=default)

    def __getattr__(self, name):
        said = self.own if self.own != "none" or self.follows is None else self.follows.fp32_precision
        return self.default if said == "none" else said

    def __setattr__(self, name, value):
        self.__dict__["own" if name == "fp32_precision" else name] = value


def words(own, default):
    """Returns: settings as PyTorch 2.13 (default "tf32") and 2.9 (own "tf32") begin with them."""
    backends = Word()
    cudnn = Word(backends)
    cudnn.__dict__.update(conv=Word(cudnn, own, default), deterministic=False, benchmark=False)
    backends.__dict__.update(cudnn=cudnn, cuda=types.SimpleNamespace(matmul=Word(cudnn)))
    return backends


WORDS = ("fp32_precision", "cudnn.fp32_precision", "cudnn.conv.fp32_precision", "cuda.matmul.fp32_precision")


@pytest.mark.parametrize("said", [{}, *({word: value} for word in WORDS for value in ("ieee", "tf32"))], ids=str)
@pytest.mark.parametrize("first", [("none", "tf32"), ("tf32", "none")], ids=["2.13", "2.9"])
@pytest.mark.parametrize("tf32", [False, True])
def test_a_word_that_follows_another_still_does_afterwards(said, first, tf32, monkeypatch):
    torch = pytest.importorskip("torch")
    from ganspec.impl_torch.precision import Math

    def own():
        return [operator.attrgetter(word.replace("fp32_precision", "own"))(backends) for word in WORDS]

    backends = words(*first)
    for word, value in said.items():
        where, _, name = word.rpartition(".")
        setattr(operator.attrgetter(where)(backends) if where else backends, name, value)
    monkeypatch.setattr(torch, "backends", backends)
    before, wanted = own(), "tf32" if tf32 else "ieee"
    with Math(tf32=tf32, tune=False):
        assert (backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision) == (wanted, wanted)
    assert own() == before


@pytest.mark.parametrize("of", ["all", "cudnn"])
def test_what_is_said_of_all_convolutions_reaches_them_as_before(of, monkeypatch):
    torch = pytest.importorskip("torch")
    from ganspec.impl_torch.precision import Math

    where = torch.backends if of == "all" else torch.backends.cudnn
    if not hasattr(where, "fp32_precision"):
        pytest.skip("an older PyTorch, with switches")

    def reached():
        with monkeypatch.context() as patch:
            patch.setattr(where, "fp32_precision", "ieee")
            return torch.backends.cudnn.conv.fp32_precision

    before = reached()
    with Math(tf32=False, tune=False):
        pass
    assert reached() == before


def test_threads_that_want_one_value_share_it_and_another_waits():
    shared, value, log = InForce(), ["found"], []

    @contextlib.contextmanager
    def setting(to):
        before, value[0] = value[0], to
        yield
        value[0] = before

    def work():
        with shared.inside("b", lambda: setting("b")):
            log.append(value[0])

    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(shared.inside("a", lambda: setting("a")))
    second.enter_context(shared.inside("a", lambda: setting("a")))
    other = threading.Thread(target=work)
    other.start()
    with pytest.raises(RuntimeError, match="'b' is wanted within 'a', by one thread"):
        work()
    first.close()
    other.join(0.05)
    assert (value, log) == (["a"], []), "the second is still inside"
    second.close()
    other.join(10)
    assert (value, log) == (["found"], ["b"])


class CuPy:
    """As much of CuPy as rounding asks for."""

    class _core:
        class _routines_linalg:
            COMPUTE_TYPE_DEFAULT, COMPUTE_TYPE_TF32 = 1, 7
            kind = 7  # somebody's choice, or CUPY_TF32

            @classmethod
            def get_compute_type(cls, dtype):
                return cls.kind

            @classmethod
            def set_compute_type(cls, dtype, kind):
                assert dtype == "f"
                cls.kind = kind

    class cuda:
        class Device:
            compute_capability = "90"


def test_cupy_multiplies_exactly_whatever_its_variable_says(monkeypatch):
    pytest.importorskip("ganspec.impl_chainer.precision")
    import chainer

    from ganspec.impl_chainer.precision import Math

    monkeypatch.setattr(chainer.backends.cuda, "cupy", CuPy)
    core = CuPy._core._routines_linalg
    with Math(tf32=False, tune=False):
        assert core.kind == core.COMPUTE_TYPE_DEFAULT
        assert (chainer.config.use_cudnn, chainer.config.cudnn_deterministic) == ("never", True)
    assert core.kind == core.COMPUTE_TYPE_TF32
    before = chainer.config.use_cudnn
    with Math(tf32=True, tune=True):
        assert core.kind == core.COMPUTE_TYPE_TF32
        assert (chainer.config.use_cudnn, chainer.config.autotune) == ("auto", True)
    assert chainer.config.use_cudnn == before


@pytest.mark.parametrize(
    ("check", "given", "message"),
    [
        (check_precision, ("tf32", "float64", "cuda"), "precision is 'tf32', which goes with dtype 'float32'"),
        (check_precision, ("tf32", "float32", "cpu"), "precision is 'tf32', which CUDA devices have, not device 'cpu'"),
        (
            check_cuda,
            (["fast"], "cuda"),
            "an entry of cuda is 'fast', expected one of 'tune', 'channels_last', 'eager'",
        ),
        (check_cuda, ("tune", "cuda"), "cuda is 'tune', expected a list of some of 'tune', 'channels_last', 'eager'"),
        (check_cuda, (["tune"], "cpu"), "cuda is ['tune'], which is for CUDA devices, not device 'cpu'"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(check, given, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        check(*given)
    assert message in str(error.value)


def test_a_trainer_takes_its_choices(backend):
    trainer = backends.load(backend).Trainer
    with pytest.raises(ValueError, match="which is for CUDA devices"):
        trainer(load_system(SYSTEM, reduced=True), 0, cuda=["eager"])
    if backend == "chainer":
        with pytest.raises(NotImplementedError, match="channels-first alone; use PyTorch"):
            trainer(load_system(SYSTEM, reduced=True), 0, device="cuda", cuda=["channels_last"])


def test_the_program_says_which_choice_needs_a_device(backend, capsys):
    for words, message in {
        ("--tf32", "--precision", "bf16"): "--tf32 does not go with --precision bf16; leave out one of them",
        ("--precision", "tf32"): "--precision tf32 is for a CUDA device, which rounds so",
        ("--tf32",): "--tf32 is for a CUDA device, which rounds so; leave it out, or add --device cuda",
        (
            "--tune",
            "--no-capture",
        ): "--tune and --no-capture: a choice for a CUDA device; leave it out, or add --device cuda",
        ("--tf32", "--dtype", "float64", "--device", "cuda"): "--tf32 goes with --dtype float32",
    }.items():
        assert here("train", SYSTEM, "--backend", backend, *words) == 2
        assert message in capsys.readouterr().err
    if backend == "chainer":
        assert here("train", SYSTEM, "--backend", backend, "--device", "cuda", "--channels-last") == 2
        assert "images channels-first alone; use --backend torch" in capsys.readouterr().err


def test_a_record_has_choices():
    assert _cuda(["tune", "eager"]) is None
    for wrong in ("tune", ["tune"] * 9, [1], ["fast"], None):
        assert _cuda(wrong) == "expected a list of some of tune, channels_last, eager"


def test_a_missing_device_is_said_before_data_are_looked_for(backend, capsys):
    """No data ship for this system, and no machine has that many GPUs."""
    assert here("train", "dcgan_cifar10", "--backend", backend, "--device", "cuda:999") == 2
    assert "CUDA device" in capsys.readouterr().err
