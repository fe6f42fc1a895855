"""Each kind of bad input to a translator has a defined answer. Files of pairs: see
tests/test_parallel.py; word vectors: test_embeddings.py; 10,000 tokens, weights of another
model and evaluation without gold: test_translator.py."""

import math

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc
from thinc.api import Adam

from spacy_seqgen.generation import GenerationOptions
from spacy_seqgen.pipeline.encoding import encode_pair

from .test_translator import CHARACTERS, PAIRS, SUBWORDS, make_examples, make_nlp

WORDS = {"@misc": "spacy-seqgen.Words.v1"}
STRANGE = {
    "empty": "",
    "a space": " ",
    "one token": "cat",
    "one mark": ".",
    "only unknown characters": "ÄÖÜ",
    "another script": "кошка спит",
    "emoji": "\U0001f600\U0001f468‍\U0001f469‍\U0001f467\U0001f3ff",
    "right to left": "שלום \u202e abc مرحبا",
    "control characters": "\x01\x1b[31m\x7f\u2028\ufeff\ufffd",
    "NUL bytes": "a\0b\0\0",
    "many lines": "\n\r\n\t\n",
}


@pytest.fixture(
    scope="module",
    params=[SUBWORDS, WORDS, CHARACTERS],
    ids=["subwords", "words", "characters"],
)
def nlp(request):
    found = make_nlp(steps=30, attention=True, vocabulary=request.param)
    pipe = found.get_pipe("translator")
    pipe._is_training = False
    pipe.options = GenerationOptions(beam_size=3, num_samples=2, max_length=8)
    return found


def test_strange_texts_have_a_translation_and_leave_the_others_alone(nlp):
    expected = nlp("the cat sleeps")._.translation
    docs = list(nlp.pipe(["the cat sleeps", *STRANGE.values(), "the cat sleeps"]))
    assert docs[0]._.translation == docs[-1]._.translation == expected
    for doc, text in zip(docs[1:], STRANGE.values(), strict=False):
        assert doc.text == text
        for translation in doc._.translations:
            assert isinstance(translation.text, str)
            assert not text.split() or np.isfinite(translation.log_prob)
            assert not text.split() or translation.attention.shape[1] == len(doc)
        assert bool(doc._.translation.strip()) <= bool(text.strip())


def test_a_beam_larger_than_the_vocabulary(nlp, monkeypatch):
    pipe = nlp.get_pipe("translator")
    size = len(pipe.target_vocabulary) + 30
    options = GenerationOptions(beam_size=size, num_samples=size, max_length=3)
    monkeypatch.setattr(pipe, "options", options)
    found = nlp("the cat")._.translations
    assert 1 < len(found) <= size
    scores = [item.log_prob for item in found]
    assert all(math.isfinite(score) for score in scores)


def test_more_translations_than_the_beam_is_wide():
    with pytest.raises(ValueError, match=r"num_samples \(3\) must not exceed beam_size \(2\)"):
        make_nlp(generation={"beam_size": 2, "num_samples": 3})


def test_a_space_behind_the_beginning_makes_no_difference(nlp):
    found = []
    for prefix in ("le", "le "):
        doc = nlp.make_doc("the black cat")
        doc._.translation_prefix = prefix
        found.append(nlp(doc)._.translation)
    assert found[0] == found[1]


@pytest.mark.parametrize("value", [3, None, b"le chat"])
def test_translations_are_strings(nlp, value):
    with pytest.raises(ValueError, match="A translation is a string, not"):
        nlp.make_doc("the cat")._.translation = value


def test_lists_of_translations_hold_nothing_else(nlp):
    with pytest.raises(TypeError, match="takes Translations, not 'le chat'"):
        nlp.make_doc("the cat")._.translations = ["le chat"]


def test_a_translation_of_spaces_is_not_learned(nlp):
    doc = nlp.make_doc("the cat")
    doc._.translation = " \n"
    assert not nlp.get_pipe("translator").can_learn(doc)
    doc._.translation = "le chat"
    assert nlp.get_pipe("translator").can_learn(doc)


def test_what_can_be_aligned(nlp):
    doc = nlp("the black cat")
    found = doc._.translations[0]
    assert found.align(doc[1]) == found.align(nlp("the black cat")[1])
    with pytest.raises(ValueError, match="'dog' is of another Doc"):
        found.align(nlp.make_doc("a dog")[1])
    for method in (found.align, found.align_target):
        with pytest.raises(TypeError, match=r"What to align must be a Token.*'cat'"):
            method("cat")
    with pytest.raises(TypeError, match=r"as_doc takes a pipeline.*'fr'"):
        found.as_doc("fr")


@pytest.mark.parametrize("prefix", ["Ж漢 chat", "\U0001f600", "inconnu et", "Ж" * 50, " le"])
def test_a_beginning_with_unknown_words_is_kept(nlp, prefix):
    doc, other = nlp.make_doc("the black cat"), nlp.make_doc("the cat sleeps")
    doc._.translation_prefix = prefix
    first, second = nlp.pipe([doc, other])
    assert first._.translation.startswith(prefix)
    assert np.isfinite(first._.translations[0].log_prob)
    assert second._.translation == nlp("the cat sleeps")._.translation


def test_a_beginning_of_nothing(nlp):
    doc = nlp.make_doc("the cat sleeps")
    doc._.translation_prefix = ""
    assert nlp(doc)._.translation == nlp("the cat sleeps")._.translation


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_no_nan_reaches_the_weights(where):
    nlp = make_nlp()
    net = nlp.get_pipe("translator").model.shims[0].net
    if where == "loss":
        with torch.no_grad():
            net.decoder.output.bias.fill_(math.nan)
    else:
        net.encoder.rnn.weight_hh_l0.register_hook(lambda gradient: gradient * math.nan)
    before = net.encoder.rnn.weight_ih_l0.detach().clone()
    with pytest.raises(ValueError, match="not finite"):
        nlp.update(make_examples(nlp), sgd=Adam(0.01))
    assert torch.equal(net.encoder.rnn.weight_ih_l0, before)
    assert net.encoder.rnn.weight_hh_l0.isfinite().all()


def test_one_bad_doc_does_not_harm_the_others(nlp, monkeypatch):
    pipe = nlp.get_pipe("translator")
    encode = pipe.source_vocabulary.encode

    def fail(source):
        if "dog" in str(source):
            raise RuntimeError("no")
        return encode(source)

    monkeypatch.setattr(pipe.source_vocabulary, "encode", fail)
    failed = []
    other = spacy.blank("en")
    other.add_pipe("translator", source=nlp)
    pipe = other.get_pipe("translator")
    pipe.set_error_handler(lambda name, proc, docs, error: failed.extend(d.text for d in docs))
    texts = [source for source, _ in PAIRS]
    docs = list(pipe.pipe(other.make_doc(text) for text in texts))
    assert failed == [text for text in texts if "dog" in text]
    assert [doc.text for doc in docs] == [text for text in texts if "dog" not in text]


# The tokens of the source


def test_the_symbols_of_a_source_are_the_tokens_of_its_doc():
    """And not those of the vocabulary's own tokenizer, which would make one of "can't"."""
    nlp = make_nlp(vocabulary=WORDS, pairs=[("we can't", "b"), ("we can", "c")], attention=True)
    pipe = nlp.get_pipe("translator")
    assert {"ca", "n't", "can"} <= set(pipe.source_vocabulary.symbols)
    assert "can't" not in pipe.source_vocabulary.symbols
    assert pipe.count_symbols(nlp.make_doc("we can't"), "b") == (3, 1)
    doc = Doc(nlp.vocab, words=["we", "can't"])
    with_own = nlp(doc)._.translations[0]
    assert with_own.attention.shape[1] == 2
    assert (
        encode_pair(doc, *pipe.vocabularies.values())[0].tolist()[1] == 1
    )  # <unk>: no token of the training data


def test_tokens_cut_in_two_are_read_as_text():
    nlp = make_nlp(vocabulary=WORDS, max_characters=4, attention=True)
    doc = nlp("catcatcat cat")
    assert doc._.translation is not None
    assert doc._.translations[0].attention.shape[1] == 2


def test_a_shared_vocabulary_has_tokens_of_both_sides():
    nlp = make_nlp(vocabulary=WORDS, pairs=[("we can't", "don't")])
    pipe = nlp.get_pipe("translator")
    examples = make_examples(nlp, [("we can't", "don't")])
    pipe.initialize(lambda: examples, nlp=nlp, shared_vocabulary=True)
    assert {"ca", "n't", "don't"} <= set(pipe.source_vocabulary.symbols)
