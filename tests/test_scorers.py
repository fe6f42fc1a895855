import math

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_seqgen.outputs import ACCURACY, set_surprisal
from spacy_seqgen.scorers import make_language_model_scorer

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
