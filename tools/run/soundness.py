"""What must be right in the folder of a run that is resumed, looked at before the first thing is written there."""

from __future__ import annotations

from ganspec.spec.system import System
from ganspec.tools.quality.figures import NAME as FIGURES
from ganspec.tools.quality.figures import read_figures
from ganspec.tools.run import tensorboard
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.log import columns_of


def check_sound(folder: RunFolder, system: System, iteration: int, *, events: bool) -> None:
    """See to it that what training goes on with can be read. Nothing is written.

    Args:
        folder: folder of the run.
        system: system as it is now.
        iteration: iteration of the checkpoint from which training goes on.
        events: whether events are written for TensorBoard.

    Raises:
        UserError: the log, the figures or a file of events is damaged, or is no such file; the message names it.
    """
    folder.log.check(columns_of(system, folder.log.columns()), iteration)
    read_figures(folder.path / FIGURES)
    if events:
        tensorboard.check_files(folder.path)
