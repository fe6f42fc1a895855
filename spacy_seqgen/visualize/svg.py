"""Figures inside of a page: as SVG in the colours of the page, light or dark."""

import html
import io
import re
from typing import Any


def to_svg(figure: Any, description: str) -> str:
    """A figure as an element of HTML.

    figure (matplotlib.figure.Figure): As `new_figure` makes it.
    description (str): For those who can't see it.
    RETURNS (str): An `<svg>`, with text as text, that is as wide as its place at most.
    """
    import matplotlib

    file = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "spacy-seqgen"}
    with matplotlib.rc_context(settings):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # several figures share a page
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    text = text.replace("#000000", "currentColor")  # text has no colour there, lines have this
    width = re.search(r'width="([\d.]+)pt"', text)
    size = f"width: {float(width[1]):.0f}pt; " if width else ""
    shown = f'style="{size}max-width: 100%; height: auto; fill: currentColor"'
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    label = html.escape(description, quote=True)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}" {shown}', 1)
