"""Names in figures."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

_LINE = 0.22  # inches of a line of the legend
_LONGEST = 36  # characters of a name


def plain(name: str) -> str:
    """A name as matplotlib shows it: not too long, no formula, and not left out for an
    underscore in front."""
    if len(name) > _LONGEST:
        half = _LONGEST // 2
        name = f"{name[:half]}…{name[1 - half :]}"
    name = printable(name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def printable(name: str) -> str:
    """Without control characters, which fonts do not have and SVG may not hold."""
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in name)


def add_legend(figure: Any, parts: Sequence[Any], columns: int) -> None:
    """A legend below all parts of a figure, with room of its own.

    figure (matplotlib.figure.Figure): As `new_figure` makes it; it becomes higher.
    parts (Sequence[matplotlib.axes.Axes]): Whose lines and bars are in it.
    columns (int): Names beside each other.
    """
    lines: dict[str, Any] = {}
    for axes in parts:
        handles, labels = axes.get_legend_handles_labels()
        lines.update(zip(labels, handles, strict=True))
    figure.legend(
        lines.values(), lines, loc="outside lower center", ncols=columns,
        frameon=False, fontsize="small",
    )  # fmt: skip
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + _LINE * math.ceil(len(lines) / columns))
