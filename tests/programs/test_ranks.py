"""A run by several processes: who started them, what they tell each other, and what a user sees of it."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.spec.training.state import array_shapes, initial_state
from ganspec.tools.errors import UserError
from ganspec.tools.run import joining
from ganspec.tools.run.launch import Launch
from ganspec.tools.run.ranks import Silent, Together
from support.programs import SMALL, here
from support.ranks_run import starter
from support.threads import in_threads

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environ", "launch"),
    [
        ({}, Launch()),
        (TORCHRUN, Launch("torchrun", 1, 4)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, Launch("mpiexec", 0, 2)),
        ({"PMI_RANK": "2", "PMI_SIZE": "3"}, Launch("mpiexec", 2, 3)),
        (TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"}, Launch()),  # one process is one process
        ({"RANK": "1", "WORLD_SIZE": "4"}, Launch()),  # another program's variables: nobody says where the first one is
        ({"PMI_RANK": "5", "PMI_SIZE": "3"}, Launch()),
        ({"PMI_RANK": "one", "PMI_SIZE": "3"}, Launch()),
    ],
)
def test_environment_says_how_a_process_was_started(environ, launch):
    assert Launch.of(environ) == launch


@pytest.fixture
def started(monkeypatch):
    """Returns: a function that sets environment variables, as what starts processes does."""

    def set_all(**environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("environ", "options", "message"),
    [
        (
            TORCHRUN | {"RANK": "0"}, ["--backend", "chainer"],
            "torchrun does not start processes of the backend 'chainer'; "
            "type: mpiexec -n 4 ganspec train SYSTEM --backend chainer\n",
        ),
        (
            {"PMI_RANK": "0", "PMI_SIZE": "2"}, [],
            "mpiexec does not start processes of the backend 'torch'; "
            "type: torchrun --nproc-per-node 2 -m ganspec.tools train SYSTEM\n",
        ),
    ],
    ids=["torchrun", "mpiexec"],
)  # fmt: skip
def test_what_starts_the_other_backends_processes_is_refused_with_the_right_command(
    started, environ, options, message, capsys
):
    started(**environ)
    assert here("train", "gan_mlp_mnist", *options) == 2
    assert capsys.readouterr().err == message


def test_only_the_first_process_says_what_all_of_them_find(started, capsys):
    started(**TORCHRUN)
    with pytest.raises(SystemExit) as ended:
        here("train", "gan_mlp_mnist", "--backend", "chainer")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "")


def test_only_the_first_process_says_that_an_option_is_wrong(started, capsys):
    started(**TORCHRUN)
    with pytest.raises(SystemExit) as ended:
        here("train", "gan_mlp_mnist", "--iterations", "many")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "")


def test_a_failure_of_one_process_is_raised_in_all_with_its_rank_and_code():
    def work(group):
        ranks = Together(group)
        ranks.settle()
        if group.rank == 1:
            return ranks.tell(UserError("the disk is full", 3))
        with pytest.raises(UserError) as caught:
            ranks.any(False)
        return caught.value

    for error in in_threads(3, work):
        assert (str(error), error.code) == ("process 1 of 3: the disk is full", 3)


def test_a_failure_of_the_first_process_is_said_as_in_a_run_of_one():
    found = in_threads(2, lambda group: str(Together(group).tell(UserError(f"no such system ({group.rank})"))))
    assert found == ["no such system (0)"] * 2


def test_an_interruption_of_one_process_is_known_to_all():
    def work(group):
        ranks = Together(group)
        return [ranks.any(group.rank == 2), ranks.any(False)]

    assert in_threads(3, work) == [[True, False]] * 3


def test_all_know_what_the_first_process_says():
    assert in_threads(3, lambda group: Together(group).from_first(f"from {group.rank}")) == ["from 0"] * 3


def test_processes_with_other_numbers_are_noticed_at_the_array_that_differs():
    system = load_system("gan_mlp_mnist", reduced=True)

    def work(group):
        ranks, state = Together(group), initial_state(system, 0)
        ranks.check_same(lambda: state)
        if group.rank == 1:
            state.arrays["parameters/D/l1/W"][0, 0] += 1e-15
        with pytest.raises(UserError) as caught:
            ranks.check_same(lambda: state)
        return str(caught.value)

    wanted = (
        "the processes no longer hold the same numbers: parameters/D/l1/W of process 1 differs from that of process 0"
    )
    assert all(text.startswith(wanted) for text in in_threads(2, work))


def test_the_first_process_of_a_machine_prepares_what_the_others_find():
    order = []

    def work(group):
        group.first_here = group.rank == 1
        return Together(group).in_turn(lambda: order.append(group.rank))

    in_threads(3, work)
    assert order[0] == 1
    assert sorted(order) == [0, 1, 2]


def test_one_process_needs_nobody():
    ranks = Together()
    ranks.settle()
    assert ranks.leads
    assert [ranks.any(flag) for flag in (True, False)] == [True, False]
    assert (ranks.trainer_options(), ranks.recorded()) == ({}, {})


def test_what_stands_for_the_first_processs_business_does_nothing():
    nothing = Silent()
    assert not nothing.album.missing
    assert list(nothing.pictures("samples")) == []
    with nothing as inside:
        assert not inside.log.append([(1, 2)])


# With real processes. Each start imports a framework several times over.


def launched(backend, processes, *arguments, **options):
    """Returns: the command's process, of `ganspec train` by several processes."""
    words = starter(backend, processes)
    if words is None:
        pytest.skip("needs mpiexec and mpi4py")
    command = [*words, "ganspec.tools", "train", *map(str, arguments), "--backend", backend]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finished(process):
    """Returns: the finished process, as `fails` takes it."""
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def states(folder, iteration):
    system = load_system("wgan_gp_mlp_mnist", [setting for setting in SMALL if setting != "--set"])
    state, _ = read_checkpoint(folder / "checkpoints" / f"{iteration:08}.safetensors", array_shapes(system))
    return state


@pytest.mark.slow
def test_a_run_whose_process_was_killed_goes_on_with_another_number_of_them(backend, images, tmp_path):
    common = ["wgan_gp_mlp_mnist", *SMALL, "--data", images, "--dtype", "float64"]
    assert here("train", *common, "--backend", backend, "--out", tmp_path / "one", "--iterations", 21) == 0
    # Two processes, one of which is killed.
    process = launched(backend, 2, *common, "--out", tmp_path / "run", "--iterations", 10**6)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "00000007.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and _is_second(p, str(tmp_path / "run"))]
    os.kill(pids[0], signal.SIGKILL)
    assert finished(process).returncode != 0
    for late in (tmp_path / "run" / "checkpoints").glob("*.safetensors"):
        if int(late.stem) > 7:
            late.unlink()
    # Four, then one.
    again = finished(launched(backend, 4, "--resume", tmp_path / "run", "--iterations", 14))
    assert again.returncode == 0, again.stderr
    assert here("train", "--resume", tmp_path / "run", "--iterations", 21) == 0
    wanted, found = states(tmp_path / "one", 21), states(tmp_path / "run", 21)
    for name, array in wanted.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [record["processes"], *(session.get("processes") for session in record["resumed"])] == [2, 4, None]


def _is_second(pid, folder):
    """Returns: whether this is the second of the processes that train in a folder."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as words, open(f"/proc/{pid}/environ", "rb") as variables:
            environ = variables.read().split(b"\0")
            return folder.encode() in words.read().split(b"\0") and (b"RANK=1" in environ or b"PMI_RANK=1" in environ)
    except OSError:
        return False


@pytest.mark.slow
def test_a_mistake_is_said_once_and_nothing_is_made(backend, images, tmp_path):
    arguments = ["wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", tmp_path / "run", "--set", "run.batch=5"]
    done = finished(launched(backend, 2, *arguments))
    assert done.stderr.count("a batch of 5 cannot be split among 2 processes into equal parts") == 1
    assert done.returncode == (1 if backend == "torch" else 2)  # torchrun has a code, and a report, of its own
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_an_interruption_saves_and_says_how_to_resume_once(backend, images, tmp_path):
    arguments = ["wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", tmp_path / "run", "--iterations", 10**6]
    process = launched(backend, 2, *arguments)
    while not (tmp_path / "run" / "checkpoints" / "00000007.safetensors").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    done = finished(process)
    assert done.stderr.count("interrupted and saved; go on with: ganspec train --resume") == 1
    assert here("train", "--resume", tmp_path / "run", "--iterations", 1) == 0


@pytest.mark.parametrize(
    ("error", "advice", "no_advice"),
    [
        (ModuleNotFoundError("No module named 'mpi4py'", name="mpi4py"), "pip install 'ganspec[mpi]'", "mpich"),
        (ImportError("cannot load MPI library", name="mpi4py"), "pip install mpich", "ganspec[mpi]"),
        (
            ImportError("libmpi.so.12: cannot open shared object file", name="mpi4py.MPI"),
            "pip install mpich",
            "ganspec[mpi]",
        ),
    ],
)
def test_an_mpi_library_that_is_missing_is_not_a_package_that_is(
    started, monkeypatch, capsys, error, advice, no_advice
):
    def processes():
        raise error

    monkeypatch.setattr(joining.backends, "load", lambda name: None)
    monkeypatch.setitem(sys.modules, "ganspec.impl_chainer.ranks", SimpleNamespace(Processes=processes))
    started(PMI_RANK="0", PMI_SIZE="2")
    assert here("train", "gan_mlp_mnist", "--backend", "chainer") == 2
    said = capsys.readouterr().err
    assert f"mpi4py does not import: {error}" in said
    assert advice in said
    assert no_advice not in said
