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
    if is_blank(doc) and doc.text.strip():
        raise ValueError(f"The translation of {doc.text[:60]!r} is empty: nothing was looked at")
    if is_blank(doc):
        raise ValueError(f"There is no attention in a Doc without words: {doc.text[:60]!r}")
    found = [
        AttentionMap(
            item.text,
            [token.text for token in doc],
            list(item.tokens),
            item.attention.astype(np.float32),
        )
        for item in get_translations(doc)
        if item.attention is not None and item.tokens
    ]
    if not found:
        raise ValueError(
            f"There is no attention in this Doc: {doc.text[:60]!r}. The pipeline needs a "
            'translator with attention (not "none") and the setting attention = true'
        )
    return found


def get_attention_parts(doc: Doc) -> list[list[AttentionMap]]:
    """The same sentence by sentence, or line by line, as they were translated: of a long Doc, one
    table of all would be nearly empty, and grow with the square of the length.

    RAISES (ValueError): As `get_attention_maps`.
    """
    found = []
    for item in get_translations(doc):
        rest, parts = list(item.tokens), []
        for first, weights in item.blocks or ():
            source = [token.text for token in doc[first : first + weights.shape[1]]]
            target, rest = rest[: len(weights)], rest[len(weights) :]
            if target:
                parts.append(AttentionMap(item.text, source, target, weights.astype(np.float32)))
        if parts:
            found.append(parts)
    return found or [[item] for item in get_attention_maps(doc)]  # which says what is missing


def is_blank(doc: Doc) -> bool:
    """Whether a Doc was translated, and there was nothing to look at."""
    found = get_translations(doc)
    return bool(found) and not any(item.tokens or item.blocks is None for item in found)
