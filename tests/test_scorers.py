import math

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_seqgen.outputs import ACCURACY, set_surprisal
from spacy_seqgen.scorers import make_language_model_scorer, make_translation_scorer

NLP = spacy.blank("en")


def make(text, bits, accuracy):
    doc = NLP.make_doc(text)
    set_surprisal(doc, np.full(len(text), bits))
    doc.user_data[ACCURACY] = accuracy
    return Example(doc, NLP.make_doc(text))


def test_all_characters_count_the_same():
    examples = [make("abcdefgh", 1.0, 1.0), make("ab", 3.0, 0.5)]
    scores = make_language_model_scorer()(examples)
    assert scores["bits_per_char"] == pytest.approx(1.4)
    assert scores["perplexity"] == pytest.approx(2**1.4)
    assert scores["char_probability"] == pytest.approx(2**-1.4)
    assert scores["char_accuracy"] == pytest.approx(0.9)


def test_texts_that_were_not_scored_do_not_count():
    empty = Example(NLP.make_doc(""), NLP.make_doc(""))
    plain = Example(NLP.make_doc("ab"), NLP.make_doc("ab"))
    assert set(make_language_model_scorer()([empty, plain]).values()) == {None}
    assert make_language_model_scorer()([empty, make("ab", 1.0, 0.0)])["bits_per_char"] == 1.0


def test_impossible_texts_do_not_overflow():
    scores = make_language_model_scorer()([make("ab", 5000.0, 0.0)])
    assert scores["perplexity"] == math.inf
    assert scores["char_probability"] == 0.0


def test_bleu_by_length_of_the_source():

    def make_pair(words, target, found):
        text = " ".join(["word"] * words)
        example = Example(NLP.make_doc(text), NLP.make_doc(text))
        example.reference._.translation = target
        example.predicted._.translation = found
        return example

    right = "un deux trois quatre cinq"
    examples = [
        make_pair(5, right, right), make_pair(6, right, "rien du tout de cela"),
        make_pair(40, right, right), make_pair(80, right, right),
    ]  # fmt: skip
    found = make_translation_scorer()(examples)["bleu_by_length"]
    assert {name: group["sentences"] for name, group in found.items()} == {
        "1-5": 1, "6-10": 1, "31 and more": 2,
    }  # fmt: skip
    assert found["1-5"]["bleu"] == pytest.approx(1.0)
    assert found["6-10"]["bleu"] < 0.1
    assert make_translation_scorer()(examples, details=False)["bleu_by_length"] is None


def test_signatures_of_all_that_sacrebleu_computes():
    example = Example(NLP.make_doc("a b"), NLP.make_doc("a b"))
    example.reference._.translation = "x y"
    scores = make_translation_scorer()([example])
    names = ("bleu", "bleu_lowercase", "chrf", "ter")
    signatures = {name: scores[f"{name}_signature"] for name in names}
    assert all("version:" in signature for signature in signatures.values())
    assert "case:mixed" in signatures["bleu"]
    assert "case:lc" in signatures["bleu_lowercase"]
    assert "nw:0" in signatures["chrf"]  # chrF2, not chrF2++
    assert make_translation_scorer()([example], details=False)["ter_signature"] is None
