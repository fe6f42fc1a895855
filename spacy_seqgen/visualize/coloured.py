"""What a classifier went by, as coloured text."""

import html

import numpy as np
from spacy.tokens import Doc

from ..attribution import get_attribution

_FOR, _AGAINST = "214, 90, 30", "30, 110, 214"
_DARKEST = 0.45  # leaves the text enough contrast, on light and on dark


def render_attribution(doc: Doc) -> str:
    """The text of a Doc once for each class that was explained, the strongest token of it in
    the darkest colour.

    RAISES (ValueError): If nothing was explained; says how to.
    """
    found = get_attribution(doc)
    if not found:
        raise ValueError(
            f"There is no attribution in this Doc: {doc.text[:60]!r}. The pipeline needs a "
            "component cats_explainer behind the text categorizer"
        )
    parts = []
    for label, scores in found.items():
        share = f" {doc.cats[label]:.3f}" if label in doc.cats else ""
        parts.append(f"<p><b>{html.escape(label)}</b>{share}<br>{_coloured(doc, scores)}</p>")
    return f'<div class="seqgen" dir="auto">{"".join(parts)}</div>'


def _coloured(doc: Doc, scores: np.ndarray) -> str:
    largest = float(np.abs(scores).max(initial=0.0)) or 1.0
    marks = []
    for token, score in zip(doc, scores.tolist(), strict=True):
        shade = _DARKEST * abs(score) / largest
        colour = f"rgba({_FOR if score > 0 else _AGAINST}, {shade:.3f})"
        text = html.escape(token.text)
        marks.append(
            f'<span style="background: {colour}; border-radius: 3px" title="{score:.4f}">{text}'
            f"</span>{html.escape(token.whitespace_)}"
        )
    return "".join(marks)
