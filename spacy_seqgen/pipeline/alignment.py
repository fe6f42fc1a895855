"""From attention between symbols to attention between tokens."""

import re
from collections.abc import Sequence

import numpy as np

_TOKEN = re.compile(r"\w+|[^\w\s]")


def find_tokens(text: str) -> tuple[str, ...]:
    """The words and marks of a text that was generated."""
    return tuple(_TOKEN.findall(text))


def find_owners(pieces: Sequence[str], text: str) -> np.ndarray:
    """To which of a text's tokens each of its symbols belongs.

    pieces (Sequence[str]): The text up to and including each symbol.
    text (str): The text.
    RETURNS (np.ndarray): Shape (symbols,), int64; -1 for spaces.
    """
    owner_of_char = np.full(len(text) + 1, -1, dtype=np.int64)
    for number, match in enumerate(_TOKEN.finditer(text)):
        owner_of_char[match.start() : match.end()] = number
    ends = np.array([len(piece) for piece in pieces], dtype=np.int64)
    # A symbol may begin with a space: its last character tells.
    return owner_of_char[np.maximum(ends - 1, 0)]


def pool_source(weights: np.ndarray, starts: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Attention to the tokens of a piece of a Doc: the sum over their symbols.

    weights (np.ndarray): Shape (target symbols, source symbols).
    starts (np.ndarray): Shape (source symbols,): where in the Doc's text each begins.
    begins (np.ndarray): Shape (tokens,): where each token begins.
    RETURNS (np.ndarray): Shape (target symbols, tokens), float32.
    """
    owners = np.maximum(np.searchsorted(begins, starts, side="right") - 1, 0)
    pooled = np.zeros((len(weights), len(begins)), dtype=np.float32)
    np.add.at(pooled.T, owners, weights.T)
    return pooled


def pool_target(weights: np.ndarray, owners: np.ndarray, tokens: int) -> np.ndarray:
    """Attention of the tokens of a translation: the mean over their symbols.

    weights (np.ndarray): Shape (target symbols, n).
    owners (np.ndarray): Shape (target symbols,): their tokens, -1 for none.
    tokens (int): The number of target tokens.
    RETURNS (np.ndarray): Shape (tokens, n), float16.
    """
    shown = owners >= 0
    pooled = np.zeros((tokens, weights.shape[1]), dtype=np.float32)
    np.add.at(pooled, owners[shown], weights[shown])
    counts = np.bincount(owners[shown], minlength=tokens)[:, None]
    return (pooled / np.maximum(counts, 1)).astype(np.float16)
