"""Attention as a figure, for papers and slides."""

from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..translations import get_translations
from .attention import AttentionMap, get_attention_maps
from .labels import printable

_INCHES = 0.34  # for each token
_MOST = 200  # tokens on a side: a picture of 70 inches


def draw_figure(doc: Doc, *, number: int = 0) -> Any:
    """Draw where a translator looked, source across and translation down.

    doc (Doc): What was translated.
    number (int): Which of its translations.
    RETURNS (matplotlib.figure.Figure): The figure.
    RAISES (ValueError): If the Doc has no attention, or not so many translations; or if one of
        them is too long for a figure.
    """
    longest = max(len(doc), *(len(item.tokens) for item in get_translations(doc)), 0)
    if longest > _MOST:
        raise ValueError(
            f"A figure has room for {_MOST} tokens, and here are {longest}: translate a part of "
            "the text, or use HTML (`render`), which has a table for each sentence"
        )
    maps = get_attention_maps(doc)
    if not 0 <= number < len(maps):
        raise ValueError(f"number must be from 0 to {len(maps) - 1}, got {number}")
    return _draw(maps[number])


def save_figure(doc: Doc, path: str | Path, *, number: int = 0) -> None:
    """Write that figure to a file, whose kind its ending tells: .png, .pdf or .svg."""
    draw_figure(doc, number=number).savefig(path, bbox_inches="tight")


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches.

    RAISES (ImportError): If there is no matplotlib; says how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def _draw(item: AttentionMap) -> Any:
    figure = new_figure(1.5 + _INCHES * len(item.source), 1.2 + _INCHES * len(item.target))
    axes = figure.add_subplot()
    image = axes.imshow(item.weights, cmap="Oranges", vmin=0, vmax=1, aspect="equal")
    source, target = ([printable(text) for text in side] for side in (item.source, item.target))
    axes.set_xticks(range(len(source)), source, rotation=60, ha="left", parse_math=False)
    axes.set_yticks(range(len(target)), target, parse_math=False)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.8, label="attention")
    return figure
