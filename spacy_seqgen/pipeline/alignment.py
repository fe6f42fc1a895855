"""From attention between symbols to attention between tokens."""

from collections.abc import Sequence

import numpy as np

from ..tokens import find_token_bounds


def find_owners(pieces: Sequence[str], text: str) -> tuple[np.ndarray, np.ndarray]:
    """Which symbols and tokens of a text share a character. A symbol may be a part of a
    token, or reach across several.

    pieces (Sequence[str]): The text up to and including each symbol.
    text (str): The text.
    RETURNS (tuple[np.ndarray, np.ndarray]): Symbols and their tokens, pair by pair, in
        the order of the text, int64.
    """
    token_of = [-1] * (len(text) + 1)
    for number, (start, end) in enumerate(find_token_bounds(text)):
        token_of[start:end] = [number] * (end - start)
    symbols, tokens = [], []
    begin = 0
    for number, piece in enumerate(pieces):
        end = min(len(piece), len(text))
        if begin == end < len(piece):
            continue  # behind the end of a text that was cut
        # One that adds nothing, such as half a character, belongs to what it stands in.
        # In the order of the text, each once.
        for token in dict.fromkeys(token_of[min(begin, max(end - 1, 0)) : end]):
            if token >= 0:
                symbols.append(number)
                tokens.append(token)
        begin = end
    return np.array(symbols, dtype=np.int64), np.array(tokens, dtype=np.int64)


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


def pool_target(
    weights: np.ndarray, symbols: np.ndarray, owners: np.ndarray, tokens: int
) -> np.ndarray:
    """Attention of the tokens of a translation: the mean over their symbols.

    weights (np.ndarray): Shape (target symbols, n).
    symbols, owners (np.ndarray): Symbols and tokens, as `find_owners` pairs them.
    tokens (int): The number of target tokens.
    RETURNS (np.ndarray): Shape (tokens, n), float16.
    """
    pooled = np.zeros((tokens, weights.shape[1]), dtype=np.float32)
    np.add.at(pooled, owners, weights[symbols])
    counts = np.bincount(owners, minlength=tokens)[:, None]
    return (pooled / np.maximum(counts, 1)).astype(np.float16)
