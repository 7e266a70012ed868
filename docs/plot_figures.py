"""Plot a figure of several runs over training: python docs/plot_figures.py OUT.png METRIC RUN...

`ganspec evaluate RUN --checkpoint all` leaves the figures in the metrics.jsonl of each run. Each system has a panel, and each run
a curve in it. Figures that were measured by different protocols are not drawn together.
"""

import json
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from ganspec.tools.quality.figures import NAME, read_figures


def curve(run, metric):
    """Returns: system and backend of a run, the last figure of each iteration as pairs, and the protocols of these figures."""
    about = json.loads((run / "run.json").read_text("utf-8"))
    found = {figure.iteration: figure for figure in read_figures(run / NAME) if figure.metric == metric}
    if not found:
        sys.exit(f"{run / NAME}: no figure {metric}; measure with: ganspec evaluate {run} --checkpoint all")
    points = [(i, found[i].value) for i in sorted(found)]
    return (
        about["system"],
        about["backend"],
        points,
        {json.dumps(dict(f.protocol), sort_keys=True) for f in found.values()},
    )


def main(out, metric, runs):
    """Write the picture."""
    curves = [curve(Path(run), metric) for run in runs]
    systems = list(dict.fromkeys(system for system, *_ in curves))
    picture = Figure(figsize=(4.2 * len(systems), 2.8), layout="constrained")
    FigureCanvasAgg(picture)
    for axis, system in zip(picture.subplots(1, len(systems), squeeze=False)[0], systems, strict=True):
        drawn = [found for found in curves if found[0] == system]
        if len(set().union(*(protocols for *_, protocols in drawn))) > 1:
            sys.exit(f"the figures of {system} were measured by different protocols; measure again, all in one way")
        for _, backend, points, _ in drawn:
            axis.plot(*zip(*points, strict=True), label=backend, linewidth=1.3, marker=".", markersize=4)
        axis.set(title=system, xlabel="iteration", ylabel=metric, yscale="log")
        for ticks in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            ticks(ScalarFormatter())
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(alpha=0.3, which="both")
        axis.legend()
    picture.savefig(out, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
