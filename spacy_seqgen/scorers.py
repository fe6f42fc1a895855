"""Scorers (`@scorers`)."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from spacy.training import Example

from .outputs import ACCURACY, SURPRISAL, perplexity_of
from .translations import get_translation

TRANSLATION_SCORES = ("bleu", "bleu_lowercase", "chrf", "ter", "exact_match", "bleu_signature")


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


def make_translation_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `spacy-seqgen.translation_scorer.v1` (`@scorers`)."""
    return score_translations


def score_translations(
    examples: Iterable[Example], *, ter: bool = True, **kwargs: Any
) -> dict[str, Any]:
    """Translations against those of the references, by sacrebleu (Post 2018,
    https://arxiv.org/abs/1804.08771).

    ter (bool): Whether to compute TER, which takes longer than all the others.
    RETURNS (dict[str, Any]):
        bleu: corpus BLEU from 0 to 1, with sacrebleu's default tokenisation: a hundredth
            of what papers give (Papineni et al. 2002).
        bleu_lowercase: the same of both sides in lower case.
        chrf: chrF2 from 0 to 1 (Popović 2015).
        ter: translation edit rate: edits for each word of the reference, 0 for none; the
            lower the better (Snover et al. 2006).
        exact_match: share of translations that are equal to the reference.
        bleu_signature: how BLEU was computed.
        All None if no reference has a translation.
    """
    from sacrebleu.metrics import BLEU, CHRF, TER

    found: list[str] = []
    gold: list[str] = []
    for example in examples:
        target = get_translation(example.reference)
        if target is not None:
            found.append(get_translation(example.predicted) or "")
            gold.append(target)
    if not gold:
        return dict.fromkeys(TRANSLATION_SCORES)
    bleu = BLEU()
    exact = sum(one.strip() == two.strip() for one, two in zip(found, gold, strict=True))
    return {
        "bleu": bleu.corpus_score(found, [gold]).score / 100,
        "bleu_lowercase": BLEU(lowercase=True).corpus_score(found, [gold]).score / 100,
        "chrf": CHRF().corpus_score(found, [gold]).score / 100,
        "ter": TER().corpus_score(found, [gold]).score / 100 if ter else None,
        "exact_match": exact / len(gold),
        "bleu_signature": str(bleu.get_signature()),
    }
