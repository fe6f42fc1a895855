"""Scorers (`@scorers`)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from spacy.training import Example

from .caption_scores import cider_d, find_words, is_right, rouge_l
from .captions import get_caption, get_caption_texts
from .outputs import ACCURACY, SURPRISAL, perplexity_of
from .translations import get_translation

TRANSLATION_SCORES = (
    "bleu", "bleu_lowercase", "chrf", "ter", "exact_match", "bleu_by_length", "bleu_signature",
    "bleu_lowercase_signature", "chrf_signature", "ter_signature",
)  # fmt: skip
CAPTION_SCORES = (
    "bleu_1", "bleu_2", "bleu_3", "bleu_4", "caption_chrf", "rouge_l", "cider_d",
    "caption_exact_match",
)  # fmt: skip
_LENGTHS = 5  # words of the source in a group of sentences,
_LONG = 31  # which are all in one from here


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
    examples: Iterable[Example], *, details: bool = True, **kwargs: Any
) -> dict[str, Any]:
    """Translations against those of the references, by sacrebleu (Post 2018,
    https://arxiv.org/abs/1804.08771).

    details (bool): Whether to compute `ter`, which takes longer than all the others, and
        `bleu_by_length`.
    RETURNS (dict[str, Any]):
        bleu: corpus BLEU from 0 to 1, with sacrebleu's default tokenisation: a hundredth
            of what papers give (Papineni et al. 2002).
        bleu_lowercase: the same of both sides in lower case.
        chrf: chrF2 from 0 to 1 (Popović 2015).
        ter: translation edit rate: edits for each word of the reference, 0 for none; the
            lower the better (Snover et al. 2006).
        exact_match: share of translations that are equal to the reference.
        bleu_by_length: BLEU of sentences with so many words in the source, and their
            number: {"6-10": {"bleu": 0.4, "sentences": 231}}.
        bleu_signature, bleu_lowercase_signature, chrf_signature, ter_signature: how each
            was computed, so that figures can be compared.
        All None if no reference has a translation.
    """
    from sacrebleu.metrics import BLEU, CHRF, TER

    found: list[str] = []
    gold: list[str] = []
    lengths: list[int] = []
    for example in examples:
        target = get_translation(example.reference)
        if target is not None:
            found.append(get_translation(example.predicted) or "")
            gold.append(target)
            lengths.append(len(example.reference.text.split()))
    if not gold:
        return dict.fromkeys(TRANSLATION_SCORES)
    bleu, lowercase, chrf, ter = BLEU(), BLEU(lowercase=True), CHRF(), TER()
    exact = sum(one.strip() == two.strip() for one, two in zip(found, gold, strict=True))
    return {
        "bleu": bleu.corpus_score(found, [gold]).score / 100,
        "bleu_lowercase": lowercase.corpus_score(found, [gold]).score / 100,
        "chrf": chrf.corpus_score(found, [gold]).score / 100,
        "ter": ter.corpus_score(found, [gold]).score / 100 if details else None,
        "exact_match": exact / len(gold),
        "bleu_by_length": bleu_by_length(bleu, found, gold, lengths) if details else None,
        "bleu_signature": str(bleu.get_signature()),
        "bleu_lowercase_signature": str(lowercase.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
        "ter_signature": str(ter.get_signature()) if details else None,
    }


def bleu_by_length(
    bleu: Any, found: Sequence[str], gold: Sequence[str], lengths: Sequence[int]
) -> dict[str, dict[str, float]]:
    """BLEU of sentences with so many words in the source.

    bleu (sacrebleu.metrics.BLEU): The metric.
    found (Sequence[str]), gold (Sequence[str]): Translations, and those they should be.
    lengths (Sequence[int]): Words of the sources.
    RETURNS (dict): For each range of lengths, as in "6-10", "bleu" (0 to 1) and "sentences".
    """
    groups: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        first = (max(length, 1) - 1) // _LENGTHS * _LENGTHS + 1
        groups.setdefault(min(first, _LONG), []).append(number)
    scores = {}
    for first, members in sorted(groups.items()):
        name = f"{first} and more" if first == _LONG else f"{first}-{first + _LENGTHS - 1}"
        score = bleu.corpus_score([found[n] for n in members], [[gold[n] for n in members]])
        scores[name] = {"bleu": score.score / 100, "sentences": len(members)}
    return scores


def make_caption_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `spacy-seqgen.caption_scorer.v1` (`@scorers`)."""
    return score_captions


def score_captions(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Captions against those of the references, of which a picture may have several.

    RETURNS (dict[str, Any]):
        bleu_1, bleu_2, bleu_3, bleu_4: corpus BLEU of n-grams up to that length, from 0 to
            1, by sacrebleu, in lower case (Papineni et al. 2002).
        caption_chrf: chrF2 from 0 to 1, by sacrebleu, in lower case (Popović 2015).
        rouge_l: ROUGE-L from 0 to 1 (Lin 2004), the mean over the pictures.
        cider_d: CIDEr-D from 0 to 10 (Vedantam et al. 2015), the mean over the pictures; how
            rare a word is, the references of these pictures tell.
        caption_exact_match: share of captions that are equal to a reference, in lower case.
        All None if no reference has a caption.
    """
    from sacrebleu.metrics import BLEU, CHRF

    found: list[str] = []
    gold: list[list[str]] = []
    for example in examples:
        texts = [text for text in get_caption_texts(example.reference) if text.strip()]
        if texts:
            found.append(get_caption(example.predicted) or "")
            gold.append(texts)
    if not gold:
        return dict.fromkeys(CAPTION_SCORES)
    most = max(map(len, gold))
    # sacrebleu wants the first references of all, then the second ones, ...
    streams: Any = [[texts[n] if n < len(texts) else None for texts in gold] for n in range(most)]
    scores: dict[str, Any] = {
        f"bleu_{n}": BLEU(max_ngram_order=n, lowercase=True).corpus_score(found, streams).score
        / 100
        for n in range(1, 5)
    }
    words = [find_words(text) for text in found]
    others = [[find_words(text) for text in texts] for texts in gold]
    pairs = list(zip(words, others, strict=True))
    exact = [is_right(text, texts) for text, texts in zip(found, gold, strict=True)]
    return {
        **scores,
        "caption_chrf": CHRF(lowercase=True).corpus_score(found, streams).score / 100,
        "rouge_l": sum(rouge_l(*pair) for pair in pairs) / len(gold),
        "cider_d": sum(cider_d(words, others)) / len(gold),
        "caption_exact_match": sum(exact) / len(gold),
    }
