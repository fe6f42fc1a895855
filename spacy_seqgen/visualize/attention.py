"""What there is to look at in a Doc."""

from dataclasses import dataclass

import numpy as np
from spacy.tokens import Doc

from ..translations import get_translations


@dataclass(frozen=True)
class AttentionMap:
    """Where a decoder looked while it wrote.

    title (str): What was written.
    source (list[str]): What it could look at.
    target (list[str]): What it wrote.
    weights (np.ndarray): Shape (target, source), from 0 to 1.
    """

    title: str
    source: list[str]
    target: list[str]
    weights: np.ndarray


def get_attention_maps(doc: Doc) -> list[AttentionMap]:
    """The attention of each translation of a Doc, the best first.

    RAISES (ValueError): If there is none; says how to get it.
    """
    found = [
        AttentionMap(
            item.text,
            [token.text for token in doc],
            list(item.tokens),
            item.attention.astype(np.float32),
        )
        for item in get_translations(doc)
        if item.attention is not None
    ]
    if not found:
        raise ValueError(
            f"There is no attention in this Doc: {doc.text[:60]!r}. The pipeline needs a "
            'translator with attention (not "none") and the setting attention = true'
        )
    return found
