"""Learning curves: what the logs of trainings say, as a figure."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..training.log import TrainingLog
from .figure import new_figure
from .labels import add_legend, plain
from .page import make_page
from .svg import to_svg

# Line styles as well as colours: they are told apart without seeing colour, and in print.
_LINES = ["-", "--", ":", "-."]
_MOST = 1000  # points of a line
_SIZE = 3.7, 2.6  # inches of each part: as wide as a phone
_LARGEST = 1e30  # matplotlib can't draw what is near the limit of a float


def draw_curves(logs: Mapping[str, TrainingLog], *, columns: int = 2) -> Any:
    """Draw loss and score of some trainings over their updates.

    logs (Mapping[str, TrainingLog]): By name; all in the same figure.
    columns (int): Parts beside each other: 2, or 1 for a narrow page.
    RETURNS (matplotlib.figure.Figure): The figure.
    RAISES (ValueError): If there is no evaluation in any of them.
    """
    logs = {name: log for name, log in logs.items() if log.rows}
    if not logs:
        raise ValueError("There is no evaluation in the log: the training stopped before the first")
    rows = 2 // columns
    figure = new_figure(_SIZE[0] * columns, _SIZE[1] * rows)
    loss_axes, score_axes = figure.subplots(rows, columns)
    pipes = sorted({pipe for log in logs.values() for row in log.rows for pipe in row["losses"]})
    for number, (name, log) in enumerate(logs.items()):
        evaluations = _thin(log.rows)
        steps = [row["step"] for row in evaluations]
        name = plain(name)
        style: dict[str, Any] = {"color": f"C{number}", "linestyle": _LINES[number % len(_LINES)],
                                 "marker": ".", "markersize": 4}  # fmt: skip
        for pipe in pipes:
            # The first evaluation is after one update: its loss is that of random weights.
            points = [
                (r["step"], _drawn(r["losses"][pipe])) for r in evaluations if pipe in r["losses"]
            ]
            if points:
                label = f"{name}, {plain(pipe)}" if len(pipes) > 1 else name
                loss_axes.plot(*zip(*points, strict=True), label=label, **style)
        score_axes.plot(steps, [_drawn(row["score"]) for row in evaluations], label=name, **style)
    loss_axes.set_ylabel("loss, mean of an update")
    known = (row["score"] for log in logs.values() for row in log.rows)
    scores = [score for score in known if score is not None] or [0.0]
    if 0 <= min(scores) and max(scores) <= 1:
        score_axes.set_ylim(0, 1.03)  # so that figures beside each other can be compared
    kinds = {" + ".join(start["scores"]) for log in logs.values() for start in log.starts}
    score_axes.set_ylabel(plain(kinds.pop()) if len(kinds) == 1 else "score")
    for axes in (loss_axes, score_axes):
        axes.set_xlabel("updates")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if len(logs) > 1 or len(pipes) > 1:
        add_legend(figure, (score_axes, loss_axes) if len(pipes) < 2 else (loss_axes,), columns)
    return figure


def _thin(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some of the rows, with the last, if there are more than a figure shows."""
    each = -(-len(rows) // _MOST)
    return [*rows[:: max(each, 1)], *(rows[-1:] if (len(rows) - 1) % max(each, 1) else ())]


def _drawn(value: float | None) -> float:
    """A line has a gap where it is not a number, or none that can be drawn."""
    return math.nan if value is None or abs(value) > _LARGEST else value


def _words(score: float | None) -> str:
    if score is None:
        return "none"
    return f"{score:.4f}" if abs(score) < _LARGEST else f"{score:.4g}"


def describe_curves(logs: Mapping[str, TrainingLog]) -> str:
    """The same in words, for those who can't see the figure."""
    parts = []
    for name, log in logs.items():
        if log.rows:
            first, last = log.rows[0], log.rows[-1]
            parts.append(
                f"{name}: score from {_words(first['score'])} to {_words(last['score'])} in "
                f"{last['step']:,} updates, best {_words(last['best'])}"
            )
    return "; ".join(parts)


def render_curves(logs: Mapping[str, TrainingLog]) -> str:
    """The figure as a page of HTML, with the figures in words."""
    words = describe_curves(logs)
    svg = to_svg(draw_curves(logs, columns=1), words)
    caption = html.escape(words)
    return make_page("Training", f"<figure>{svg}<figcaption>{caption}</figcaption></figure>")
