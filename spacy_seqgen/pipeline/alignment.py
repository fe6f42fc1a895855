"""From attention between symbols to attention between tokens."""

import re
from collections.abc import Sequence

import numpy as np
from spacy.tokens import Doc

from ..vocabularies import Vocabulary

_TOKEN = re.compile(r"\w+|[^\w\s]")


def find_tokens(text: str) -> tuple[str, ...]:
    """The words and marks of a text that was generated."""
    return tuple(_TOKEN.findall(text))


def find_owners(vocabulary: Vocabulary, ids: Sequence[int], text: str) -> np.ndarray:
    """To which of a text's tokens each of its symbols belongs.

    RETURNS (np.ndarray): Shape (symbols,), int64; -1 for spaces.
    """
    owner_of_char = np.full(len(text) + 1, -1, dtype=np.int64)
    for number, match in enumerate(_TOKEN.finditer(text)):
        owner_of_char[match.start() : match.end()] = number
    ends = np.array([len(vocabulary.decode(ids[: n + 1])) for n in range(len(ids))], dtype=np.int64)
    # A symbol may begin with a space: its last character tells.
    return owner_of_char[np.maximum(ends - 1, 0)]


def pool_attention(
    weights: np.ndarray, owners: np.ndarray, tokens: int, doc: Doc, starts: np.ndarray
) -> np.ndarray:
    """Attention from target tokens to the tokens of the Doc: the mean over the symbols of
    the one, the sum over those of the other.

    weights (np.ndarray): Shape (target symbols, source symbols).
    owners (np.ndarray): Shape (target symbols,): their tokens, -1 for none.
    tokens (int): The number of target tokens.
    doc (Doc): The source.
    starts (np.ndarray): Shape (source symbols,): where in the Doc's text each begins.
    RETURNS (np.ndarray): Shape (tokens, len(doc)), float16.
    """
    begins = np.array([token.idx for token in doc], dtype=np.int64)
    sources = np.maximum(np.searchsorted(begins, starts, side="right") - 1, 0)
    by_source = np.zeros((len(weights), len(doc)), dtype=np.float32)
    np.add.at(by_source.T, sources, weights.T)
    pooled = np.zeros((tokens, len(doc)), dtype=np.float32)
    shown = owners >= 0
    np.add.at(pooled, owners[shown], by_source[shown])
    counts = np.bincount(owners[shown], minlength=tokens)[:, None]
    return (pooled / np.maximum(counts, 1)).astype(np.float16)
