"""One port, from his file to a folder: his class is run and traced, written anew, given its numbers, and proved."""

from __future__ import annotations

import contextlib
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.porting.draws import DrawError, Recorder
from ganspec.tools.porting.inputs import Input, Sizes, draw_inputs, nested
from ganspec.tools.porting.models import OriginalModel, PortedModel, parse_call_arguments, says_mode
from ganspec.tools.porting.original_side import OriginalSide
from ganspec.tools.porting.proof import MODES, TRACED_BATCH, Proof, cause, probe, prove
from ganspec.tools.porting.publishing import REPORT, make_beside
from ganspec.tools.porting.report import PortReport, render_json
from ganspec.tools.porting.sides import first_line
from ganspec.tools.porting.watching import watching

_OTHER_BATCH = 2  # traced beside `TRACED_BATCH`, so that a size that is the batch's shows


@dataclass(frozen=True)
class Job:
    """What is ported, and how.

    Args:
        target: "FILE:CLASS".
        inputs: what the class is called with.
        arguments: arguments of the constructor, as text.
        method: method that is called; empty for the instance itself.
        call_arguments: further arguments of the call, as text: literals, and `training` or `inference` for what says the mode.
        modes: "training", "inference" or both.
        sources: folders whose modules are his.
        old_names: whether his modules get names that NumPy has removed.
        snapshot: his snapshot; None to port the class alone.
        prefix: what stands before the model's paths in the snapshot; None to find it.
        allow_extra: whether the snapshot may hold more than the model has.
        optimizer_snapshot: what save_npz made of the optimiser; None to look for it in a trainer's snapshot.
        optimizer: his optimiser, as text; empty for none.
        hooks: its hooks, as texts.
    """

    target: str
    inputs: tuple[Input, ...]
    arguments: str = ""
    method: str = ""
    call_arguments: str = ""
    modes: tuple[str, ...] = MODES
    sources: tuple[str, ...] = ()
    old_names: bool = False
    snapshot: Path | None = None
    prefix: str | None = None
    allow_extra: bool = False
    optimizer_snapshot: Path | None = None
    optimizer: str = ""
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A finished job.

    Args:
        report: what was found.
        folder: folder with the port, beside the place where it belongs; None where nothing could be written.
    """

    report: PortReport
    folder: Path | None


def port(job: Job, out: Path) -> Done:
    """Port a class. His code is run.

    Args:
        job: what is ported.
        out: folder for the port; all is written to a folder beside it, which `publish` moves there.

    Returns: what was found.

    Raises:
        UserError: it cannot be run, or a file cannot be read or written.
        porting.errors.PortError: likewise.
    """
    from ganspec.tools.porting.loading import Original
    from ganspec.tools.porting.translating.writer import translate

    keywords = parse_call_arguments(job.call_arguments)
    with watching():
        original = Original(job.target, job.arguments, job.sources, job.old_names)
        his = OriginalModel(original, job.method, keywords)
        file = job.target.rpartition(":")[0]
        report = PortReport(
            original.name, file, None, notes=original.importer.left_out, versions=versions(), modes=job.modes
        )
        try:
            link = _trace(his, job)
        except DrawError as error:
            return Done(replace(report, refused=[str(error)]), None)
        written = translate(original)
        refused = [str(refusal) for refusal in written.refusals]
        if refused:
            return Done(replace(report, refused=refused, notes=[*report.notes, *_skipped(written)]), None)
        folder = make_beside(out)
        try:
            _write(folder / f"{written.name}.py", written.source)
            arrays, values, notes = _carry(job, link, folder)
            ported = PortedModel(folder / f"{written.name}.py", job.method, keywords)
            files = [source.path for source in original.importer.sources.values()]
            proof = prove(his, ported, arrays, job.inputs, modes=job.modes, values=values, files=files)
            if proof.proved and says_mode(keywords):
                crossed = (
                    OriginalModel(original, job.method, keywords, True),
                    PortedModel(ported.path, job.method, keywords, True),
                )
                notes = [
                    *notes,
                    _crossed(proof, lambda: prove(*crossed, arrays, job.inputs, modes=job.modes, values=values)),
                ]
            if proof.proved:
                notes = [*notes, _lift(job, his, folder / f"{written.name}.toml", original.name)]
            if job.snapshot is not None:
                notes = [*notes, *_not_carried(proof)]
            report = replace(report, proof=proof, notes=[*report.notes, *notes, *_skipped(written, proof)])
            _write(folder / REPORT, render_json(report))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return Done(report, folder)


def _crossed(proof: Proof, again: Callable[[], Proof]) -> str:
    """Prove once more, the mode being one and the argument that says the mode the other: it must be read where he reads it.

    Returns: what the user should know.
    """
    try:
        found = again()
    except UserError as error:
        return f"an argument that says another mode than Chainer's own was not compared: {error}"
    proof.rows += found.rows
    proof.refused += found.refused
    proof.unexercised += [u for u in found.unexercised if u not in proof.unexercised]
    return f"compared, too, with an argument that says the other mode than Chainer's own: {len(found.rows)} quantities"


def _lift(job: Job, his: OriginalModel, path: Path, name: str) -> str:
    """Write the architecture as a file of the spec, where the kinds of layer allow it. Returns: what the user should know."""
    from ganspec.tools.porting.architecture import CannotLift, lift

    inputs = draw_inputs(job.inputs, Sizes(TRACED_BATCH), 0, "float64")

    def call(link: Any, given: Mapping[str, Any], training: bool) -> Any:
        return his.call(link, nested(given), training, "float64")

    try:
        with np.errstate(all="ignore"), Recorder(0).recording(remember=False):
            lifted = lift(
                his.make("float64"), call, inputs, f"{name}, ported", f"{Path(job.target).name}, by ganspec port"
            )
    except CannotLift as error:
        return f"no architecture file: {error}"
    except Exception as error:  # his code, called in another way than it was proved in
        cannot = cause(error, CannotLift)
        return f"no architecture file: {first_line(error) if cannot is None else cannot}"
    _write(path, lifted.text)
    return f"{path.name} is the architecture as a file of ganspec; its outputs differ from yours by {lifted.error:.1e}"


def versions() -> dict[str, str]:
    """Returns: versions of ganspec, Python and the libraries."""
    found = {name: version(name) for name in ("ganspec", "chainer", "torch", "numpy")}
    return {**found, "python": platform.python_version()}


def _trace(his: OriginalModel, job: Job) -> Any:
    """Run his class in each mode on two batches, so that its trace is whole. Returns: an instance."""
    side = OriginalSide(his, ())
    with np.errstate(all="ignore"):
        link = probe(side, job.inputs, job.modes, TRACED_BATCH, 0, "float32")
        for mode in job.modes:
            with contextlib.suppress(Exception):  # a batch of another size may not be taken: the proof says so
                drawn = draw_inputs(job.inputs, Sizes(_OTHER_BATCH), 1, "float32")
                side.run(link, drawn, training=mode == "training", dtype="float32", recorder=Recorder(1), order=0)
    return link


def check(job: Job) -> None:
    """Look at what a job says of numbers, before his code is run.

    Raises:
        UserError: the snapshot is no snapshot, or the optimiser or a hook is not written as Chainer writes it.
    """
    from ganspec.tools.porting.optimizers_written import parse_hook, parse_optimizer
    from ganspec.tools.porting.snapshot_files import open_snapshot

    if job.snapshot is None and (job.optimizer or job.hooks or job.optimizer_snapshot or job.prefix):
        raise UserError("--snapshot is missing, to which the other options of a snapshot and its optimiser belong")
    if job.hooks and not job.optimizer:
        raise UserError("--hook belongs to an optimiser; give --optimizer, too, as in the old script")
    if job.optimizer:
        parse_optimizer(job.optimizer)
    for hook in job.hooks:
        parse_hook(hook)
    for snapshot in (job.snapshot, job.optimizer_snapshot):
        if snapshot is not None:
            open_snapshot(snapshot)


def _carry(job: Job, link: Any, folder: Path) -> tuple[Sequence[Any], Mapping[str, np.ndarray] | None, list[str]]:
    """Write the numbers of the snapshot. Returns: names of arrays, values by path, and what the user should know."""
    from ganspec.tools.porting.carrying import carry, read_numbers
    from ganspec.tools.porting.names import arrays_of

    if job.snapshot is None:
        return arrays_of(link), None, []
    numbers = read_numbers(
        link, job.snapshot, prefix=job.prefix, optimizer_snapshot=job.optimizer_snapshot,
        optimizer=job.optimizer or None, hooks=job.hooks, allow_extra=job.allow_extra,
    )  # fmt: skip
    carried = carry(folder, numbers)
    return numbers.arrays, numbers.model.values, [*numbers.progress.lines(), *carried.notes]


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error, option="--out FOLDER") from None


def _not_carried(proof: Proof) -> list[str]:
    """Returns: what a call changes and no snapshot holds, as an old spectral norm's vector."""
    names = sorted({row.name for row in proof.rows if row.kind == "state"})
    if not names:
        return []
    return [f"plain attributes, which no snapshot holds; they begin as your constructor makes them: {', '.join(names)}"]


def _skipped(written: Any, proof: Proof | None = None) -> list[str]:
    """Returns: what of his the port lacks, because it never ran; lines that the proof lists anyway are left out."""
    missed = {line for m in (proof.missed if proof else ()) for line in range(m.first, m.last + 1)}
    left = [s for s in written.skipped if not missed & set(range(s.first, s.last + 1))]
    return [f"{lines}: a part of it never ran, and is not in the port" for lines in left]
