"""Scorers (`@scorers`)."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from spacy.training import Example

from .outputs import ACCURACY, SURPRISAL, perplexity_of


def make_language_model_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `spacy-seqgen.language_model_scorer.v1` (`@scorers`)."""
    return score_language_model


def score_language_model(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """How well texts were predicted, all characters of all texts together.

    RETURNS (dict[str, Any]):
        bits_per_char: surprisal of a character, in bits; the lower the better.
        perplexity: 2 to the power of that.
        char_probability: 2 to the power of minus that, the geometric mean of the
            probabilities of the characters. From 0 to 1, the higher the better: the one
            that training maximises.
        char_accuracy: share of characters that were the most probable ones.
        All None if no text was scored.
    """
    bits, chars, correct = 0.0, 0, 0.0
    for example in examples:
        stored = example.predicted.user_data.get(SURPRISAL)
        if stored is None or not len(stored):
            continue
        bits += float(np.sum(stored, dtype=np.float64))
        chars += len(stored)
        correct += (example.predicted.user_data.get(ACCURACY) or 0.0) * len(stored)
    if not chars:
        names = ("bits_per_char", "perplexity", "char_probability", "char_accuracy")
        return dict.fromkeys(names)
    mean = bits / chars
    return {
        "bits_per_char": mean,
        "perplexity": perplexity_of(mean),
        "char_probability": 2.0**-mean,
        "char_accuracy": correct / chars,
    }
