"""A training run as one HTML page, without network or script; all text in it is escaped, because runs come from strangers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import ganspec
from ganspec.spec.text.values import as_typed
from ganspec.tools.quality.figures import LOWER_IS_BETTER, Figure
from ganspec.tools.reporting.document import document
from ganspec.tools.reporting.elements import Markup, element, joined
from ganspec.tools.run.contents import Contents, protocol_of, protocols
from ganspec.tools.run.curves import LARGEST, figure_curve, number_curve, short
from ganspec.tools.run.places import without_home

_MOST_CURVES = 60
_MOST_ROWS = 40  # of resumed parts, and of figures; the newest ones are kept
_MAX_TEXT = 300  # characters of a text of a record
_MAX_LINES, _MAX_WIDTH = 4_000, 400  # of the resolved system
_RATE = "learning_rate_"  # columns of the rates in force
_PLACES = ("iteration", "epoch")  # columns that say where a row stands


def render_run(run: Contents, title: str, source: str, system: Sequence[str], window: int, first: Iterable[str]) -> str:
    """Write a run as one page.

    Args:
        run: what the run's folder holds.
        title: title of its system, or its name.
        source: source of its system; may be empty.
        system: lines that describe the resolved system.
        window: number of iterations of which a moving average is the mean.
        first: columns of the log that tell most, which stand before the others.

    Returns: the whole file, to be written as UTF-8; it refers to nothing outside itself.
    """
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    parts = [
        _top(run, title, source),
        _now(run),
        _quality(run.figures),
        _numbers(run, window, list(first)),
        _timeline(run),
    ]
    parts += [_latents(run), _notes(run.notes), _making(run), _system(system)]
    written = f"Written by ganspec {ganspec.__version__}."
    name = _text(run.record["system"])
    return document(f"{name}: {_text(title)}", *parts, element("p", written, class_="soft small"), style=style)


def _top(run: Contents, title: str, source: str) -> Markup:
    record, last = run.record, _last(run)
    facts = {"iterations": short(last.get("iteration", 0.0))}
    if run.epochs is not None:
        facts["epochs"] = short(float(run.epochs))
    kinds = protocols(run.figures)
    for figure in _newest(run.figures)[:2]:
        which = f", protocol {kinds.index(protocol_of(figure)) + 1}" if len(kinds) > 1 else ""
        facts[f"{_text(figure.metric)} after {figure.iteration:,}{which}"] = short(figure.value)
    facts["backend"] = f"{record['backend']}, {record['device']}"
    if run.written is not None:
        with suppress(OverflowError, ValueError, OSError):  # a file's time may be any number
            facts["log last written"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.written)) + " UTC"
    tiles = [element("div", element("dt", name), element("dd", value)) for name, value in facts.items()]
    return joined(
        element("h1", f"ganspec: a training run of {_text(record['system'])}"),
        element(
            "div", element("b", _text(title)), element("div", _text(source), class_="soft small"), class_="verdict run"
        ),
        element("dl", *tiles, class_="tiles"),
    )


def _last(run: Contents) -> dict[str, float]:
    """Returns: where the newest row of the log stands; empty without rows."""
    if not len(run.table):
        return {}
    row = dict(zip(run.columns, run.table[-1].tolist(), strict=True))
    return {name: row[name] for name in _PLACES if name in row and np.isfinite(row[name])}


def _newest(figures: Sequence[Figure]) -> list[Figure]:
    """Returns: the newest figure of each metric, those first that were measured last."""
    newest = {figure.metric: figure for figure in figures}
    return sorted(newest.values(), key=lambda figure: -figure.iteration)


def _image(content: bytes, said: str) -> Markup:
    kind = "gif" if content.startswith(b"GIF") else "png"
    return element("img", src=f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}", alt=said)


def _shown(content: bytes, name: str, said: str = "") -> Markup:
    return element(
        "figure", element("figcaption", element("b", name), f" {said}" if said else ""), _image(content, name)
    )


def _now(run: Contents) -> Markup:
    """Returns: the newest samples beside real images; where a run has none of those, beside the interpolation."""
    pair = []
    if run.samples:
        iteration, picture = run.samples[-1]
        pair.append(_shown(picture, "samples", f"after iteration {iteration:,}"))
    if run.real is not None:
        pair.append(_shown(run.real, "real images", _rows(run.record.get("classes"))))
    elif run.interpolation is not None:
        pair.append(_interpolation(run.interpolation))
    if not pair:
        missing = "There are no pictures of samples. They need Pillow: "
        return element("p", missing, element("code", "pip install 'ganspec[pictures]'"), ".", class_="soft")
    heading = "Samples" if run.real is None else "Samples and real images"
    return joined(element("h2", heading), element("div", *pair, class_="pair"))


def _rows(classes: Any) -> str:
    """Returns: what is in the rows of real images: classes by name, where the data has them."""
    return f"in rows of {_text(', '.join(classes))}" if isinstance(classes, list) else "of the data"


def _interpolation(picture: bytes) -> Markup:
    return _shown(picture, "interpolation", "from latent to latent, a pair in each row")


def _quality(figures: Sequence[Figure]) -> Markup:
    if not figures:
        return Markup("")
    kinds = protocols(figures)
    drawn, said = [], []
    for number, protocol in enumerate(kinds):
        mine = [figure for figure in figures if protocol_of(figure) == protocol]
        which = f" (protocol {number + 1})" if len(kinds) > 1 else ""
        for metric in dict.fromkeys(figure.metric for figure in mine):
            points = {figure.iteration: figure.value for figure in mine if figure.metric == metric}
            drawn.append(_figure(metric, which, sorted(points.items())))
        texts = [f"{_text(name)}: {_text(value)}" for name, value in protocol]
        said.append(element("li", element("b", f"Protocol {number + 1}. "), "; ".join(texts)))
    note = (
        "Figures of different protocols cannot be compared."
        if len(kinds) > 1
        else "What each figure was measured with:"
    )
    return joined(
        element("h2", "Quality"),
        element("div", *drawn[:_MOST_CURVES], class_="figures"),
        element("p", note, class_="soft small"),
        element("ul", *said[:_MOST_ROWS], class_="small"),
    )


def _figure(metric: str, which: str, points: Sequence[tuple[int, float]]) -> Markup:
    better = LOWER_IS_BETTER.get(metric)
    said = "" if better is None else ", lower is better" if better else ", higher is better"
    best = "" if better is None else min(points, key=lambda point: point[1] if better else -point[1])
    extremes = f"; best {short(best[1])} after {best[0]:,}" if best else ""
    caption = element("figcaption", element("b", f"{_text(metric)}{which}"), f" {short(points[-1][1])}{extremes}{said}")
    return element("figure", caption, figure_curve(metric, points), class_="curve")


def _numbers(run: Contents, window: int, first: Sequence[str]) -> Markup:
    names = [name for name in dict.fromkeys((*first, *run.columns)) if name in run.columns and name not in _PLACES]
    drawn = []
    for name in names[:_MOST_CURVES]:
        values = run.table[:, run.columns.index(name)]
        curve = number_curve(name, run.table[:, 0], values, window)
        there = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
        newest = there[-1:] if name.startswith(_RATE) else there[-window:]
        said = f" {short(float(newest.mean()))}" if len(there) else " was not computed yet"
        caption = element("figcaption", element("b", _text(name)), said)
        drawn.append(element("figure", caption, curve, class_="curve"))
    if not drawn or not len(run.table):
        return element("p", "Nothing is recorded yet.", class_="soft")
    said = f"Dark: the mean of the last {window:,} iterations, whose newest value stands above. Light: the range of the values."
    said += " Above learning rates stands the one in force." if any(name.startswith(_RATE) for name in names) else ""
    return joined(
        element("h2", "Recorded numbers"),
        element("p", said, class_="soft small"),
        element("div", *drawn, class_="figures"),
    )


def _timeline(run: Contents) -> Markup:
    if len(run.samples) < 2:
        return Markup("")
    shown = [_shown(picture, f"{iteration:,}") for iteration, picture in run.samples]
    few = f", {len(shown)} of the {run.drawn:,} pictures in the folder" if len(shown) < run.drawn else ""
    said = f"What G makes of the same latents as training goes on, by iteration{few}."
    return joined(
        element("h2", "Samples over time"),
        element("p", said, class_="soft small"),
        element("div", *shown, class_="strip"),
    )


def _latents(run: Contents) -> Markup:
    shown = []
    if run.interpolation is not None and run.real is not None:  # without real images it stands beside the samples
        shown.append(_interpolation(run.interpolation))
    for name, picture in run.manifolds.items():
        label = Path(name).stem.partition("-")[2]
        shown.append(_shown(picture, f"manifold{f' of label {label}' if label else ''}", "as training goes on"))
    if not shown:
        return Markup("")
    return joined(element("h2", "The space of latents"), element("div", *shown, class_="strip wide"))


def _notes(notes: Sequence[str]) -> Markup:
    if not notes:
        return Markup("")
    listed = [element("li", _text(note, 1000)) for note in notes[:_MOST_ROWS]]
    return joined(element("h2", "Left out"), element("ul", *listed, class_="small"))


def _making(run: Contents) -> Markup:
    """Returns: versions, machine, data and settings, and each time that the run was resumed."""
    record = run.record
    settings = " ".join(f"--set {setting}" for setting in record["settings"]) or "none"
    rows = {"data": record.get("data_source") or record["data"], "settings": settings}
    rows |= {key: record[key] for key in ("dtype", "precision", "cuda", "draws", "seed", "processes") if key in record}
    begun = record.get("init_from")
    if isinstance(begun, dict):
        rows["began with"] = ", ".join(
            f"{name} {_text(value)}" for name, value in begun.items() if value not in ("", [])
        )
    if run.newest is not None:
        rows["newest checkpoint"] = f"iteration {run.newest:,}"
    versions = record.get("versions")
    rows |= versions if isinstance(versions, dict) else {}
    cells = [
        element("tr", element("th", _text(name), scope="row"), element("td", _text(value, 2000)))
        for name, value in list(rows.items())[:_MOST_ROWS]
        if value is not None
    ]
    table = element("div", element("table", element("tbody", *cells)), class_="scroll")
    return joined(element("h2", "How it was made"), table, _resumed(record.get("resumed")))


def _resumed(parts: Any) -> Markup:
    if not isinstance(parts, list) or not parts:
        return Markup("")
    keys = ("iteration", "backend", "device", "settings", "changed")
    head = element("tr", *(element("th", name, scope="col") for name in ("from iteration", *keys[1:], "made with")))
    body = []
    for part in parts[-_MOST_ROWS:]:
        session = part if isinstance(part, dict) else {}
        versions = session.get("versions")
        made = versions if isinstance(versions, dict) else {}
        said = ", ".join(f"{_text(name)} {_text(value)}" for name, value in made.items() if value is not None)
        shown = {key: _text(session.get(key, "")) for key in keys} | {"changed": _changes(session.get("changed", ""))}
        cells = [element("td", text) for text in shown.values()]
        body.append(element("tr", *cells, element("td", _text(said, 1000), class_="small")))
    table = element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")
    few = f", the newest {len(body)} of {len(parts):,}" if len(parts) > len(body) else ""
    return joined(element("h3", f"Resumed{few}"), table)


def _changes(made: Any) -> str:
    """Returns: what was changed on resuming: "optimizers.G.learning_rate: 0.001 became 0.0001"; values as they are typed."""
    if not isinstance(made, list) or not all(isinstance(change, dict) for change in made):
        return _text(made)
    try:
        lines = [f"{c.get('key')}: {as_typed(c.get('from'))} became {as_typed(c.get('to'))}" for c in made]
    except RecursionError:  # a stranger's tables in tables
        return _text(made)
    return _text("; ".join(lines), 1000)


def _system(lines: Sequence[str]) -> Markup:
    kept = [without_home(line) for line in lines[:_MAX_LINES]]
    kept = [line if len(line) <= _MAX_WIDTH else f"{line[:_MAX_WIDTH]}..." for line in kept]
    if len(lines) > len(kept):
        kept.append(f"... and {len(lines) - len(kept):,} more lines")
    # A line break is not printable, and would be written as an escape.
    text = Markup("\n").join(joined(line) for line in kept)
    inner = element("div", element("pre", Markup(text)), class_="scroll")
    summary = element("summary", element("b", "Networks, formulas, schedule, optimisers, plan"))
    return joined(element("h2", "The resolved system"), element("details", summary, inner, class_="system"))


def _text(value: Any, most: int = _MAX_TEXT) -> str:
    """Returns: a value of a record, which may be anything, as text of bounded length."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = " ".join(value)
    text = without_home(value if isinstance(value, str) else json.dumps(value, default=str))
    return text if len(text) <= most else f"{text[: most - 3]}..."
