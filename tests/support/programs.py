"""Running `ganspec` as a user does, on small systems."""

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import chdir, nullcontext, redirect_stderr, redirect_stdout

from ganspec.tools.__main__ import main

SMALL = [
    "--set", "networks.G={ use = 'mlp_generator', latent = 3, width = 6, size = 6 }",
    "--set", "networks.D={ use = 'mlp_discriminator', width = 5, size = 6 }",
    "--set", "data.shape=[1, 6, 6]", "--set", "run.batch=4", "--set", "schedule.critic_steps=2",
    "--set", "run.checkpoint_every=7", "--set", "run.samples_every=10", "--set", "run.grid=[2, 3]",
]  # fmt: skip
SMALL_BEGAN = [
    *(f"--set=networks.{n}={{ use = '{a}', n = 2, channels = 1, size = 8, code = 3 }}"
      for n, a in (("G", "began_decoder"), ("D", "began_autoencoder"))),
    "--set", "data.shape=[1, 8, 8]", "--set", "data.fit=pad", "--set", "run.batch=4",
    "--set", "run.checkpoint_every=7", "--set", "run.samples_every=50", "--set", "run.grid=[2, 3]",
]  # fmt: skip
SMALL_CGAN = [
    *(f"--set={setting}" for setting in (
        "networks.G.n=3", "networks.G.bottom=2", "networks.D.n=4", "networks.D.bottom=2", "data.shape=[1, 8, 8]",
        "optimizers.G.learning_rate=1e-2", "optimizers.D.learning_rate=1e-2",
        "schedule.good_enough=0.76", "schedule.too_good=0.75",  # so that the gates open and close within a few rounds
        "run.batch=5", "run.grid=[12, 2]", "manifold.side=3", "run.checkpoint_every=3",
        "run.samples_every=2", "run.samples_later={ after = 4, every = 4 }",
    )),
]  # fmt: skip
# With batches of 6 and 8 images a stage, iterations 0 to 8 are in stages 0, 0, 1, 2, 3, 3, 4, 5, 6.
SMALL_PROGRESSIVE = [
    *(f"--set={setting}" for setting in (
        "networks.G={ use = 'progressive_generator', latent = 6, ch = 8, bottom = 1 }",
        "networks.D={ use = 'progressive_discriminator', ch = 8, bottom = 1 }",
        "networks.S.size=8", "data.shape=[3, 8, 8]", "growth.images=8", "run.batch=6", "run.grid=[2, 3]",
        "run.checkpoint_every=3", "run.samples_every=1",
    )),
]  # fmt: skip


def here(program, *arguments):
    """Returns: the exit code of `ganspec PROGRAM ARGUMENTS`, run in this process because that is quicker."""
    return main([program, *map(str, arguments)])


def ganspec(*arguments, cwd=None):
    """Returns: exit code and output of `ganspec ARGUMENTS`, run in this process in a folder.

    A process of its own would take seconds to import a framework: tests start one only where it is what they are about.
    """
    command, out, err = list(map(str, arguments)), io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd) if cwd else nullcontext():
        try:
            code = main(command)
        except SystemExit as end:  # so ends argparse
            code = end.code
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def process(*arguments, **options):
    """Returns: a process of `python -m ganspec.tools ARGUMENTS` that has been started; its output is kept as text."""
    command = [sys.executable, "-m", "ganspec.tools", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def killed(running, when, number=signal.SIGKILL, seconds=90):
    """Send a signal to a process as soon as a condition holds. Returns: what it wrote to its standard error."""
    deadline = time.monotonic() + seconds
    while not when():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, number)
    return running.communicate(timeout=seconds)[1]


def fails(done, *texts, code=2):
    """Check that a run failed as a user's mistake should: code, message, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr, done.stderr
    return True


def resumed(run, capsys, *more):
    """Returns: the code of resuming a run for an iteration after 8, and the message."""
    code = here("train", "--resume", run, "--iterations", 9, *more)
    return code, capsys.readouterr().err


def refused(run, capsys, *texts):
    """Check that a run is not resumed, for the reason that is expected."""
    code, error = resumed(run, capsys)
    assert code == 2, error
    for text in texts:
        assert text in error
    return True
