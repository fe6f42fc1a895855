import numpy as np
import pytest
import spacy

from spacy_seqgen.pipeline import encoding
from spacy_seqgen.pipeline.encoding import PairEncoder
from spacy_seqgen.translations import set_translation
from spacy_seqgen.vocabularies import Characters
from spacy_seqgen.vocabularies.subwords import Subwords
from spacy_seqgen.vocabularies.words import Words

PAIRS = [("the cat", "le chat"), ("the dog", "le chien"), ("the cat", "un chat"), ("the cat", "")]
NLP = spacy.blank("en")


def make_docs(pairs=PAIRS):
    docs = [NLP.make_doc(source) for source, _ in pairs]
    for doc, (_, target) in zip(docs, pairs, strict=True):
        set_translation(doc, target)
    return docs


def make_encoder(kind=Subwords, **settings):
    vocabularies = []
    for texts in zip(*PAIRS, strict=True):
        vocabularies.append(kind(**settings))
        vocabularies[-1].build(vocabularies[-1].count(texts))
    return PairEncoder(*vocabularies)


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("kind", [Subwords, Characters, Words])
def test_what_is_kept_is_what_would_be_found(kind):
    encoder = make_encoder(kind)
    for _ in range(2):
        for doc in make_docs():
            assert same(encoder.sample(doc), encoder.encode(doc))
    assert len(encoder._kept) == (0 if kind is Words else len(PAIRS))


def test_each_pair_is_cut_once(monkeypatch):
    encoder, seen = make_encoder(), []
    cut = encoder.source.encode
    monkeypatch.setattr(encoder.source, "encode", lambda text: seen.append(text.text) or cut(text))
    for _ in range(3):
        for doc in make_docs(PAIRS[:2]):  # other Docs with the same text
            encoder.sample(doc)
    assert seen == ["the cat", "the dog"]


def test_another_vocabulary_is_noticed():
    encoder, docs = make_encoder(), make_docs()
    before = [encoder.sample(doc) for doc in docs]
    encoder.target.from_dict(make_encoder(size=12).target.to_dict())
    after = [encoder.sample(doc) for doc in docs]
    assert all(same(found, encoder.encode(doc)) for found, doc in zip(after, docs, strict=True))
    assert not same(before[0], after[0])


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(encoding, "_MOST", 20)
    encoder = make_encoder()
    for doc in make_docs():
        assert same(encoder.sample(doc), encoder.encode(doc))
    assert list(encoder._kept) == [PAIRS[0]]


def test_words_are_cut_in_many_ways_where_that_is_wanted():
    encoder = make_encoder(dropout=0.5)
    doc = make_docs([("the cat", "le chien")])[0]
    assert len({encoder.sample(doc)[1].tobytes() for _ in range(50)}) > 1
    assert not encoder._kept


def test_tokens_count_where_they_are_symbols():
    encoder = make_encoder(Words)
    doc = make_docs()[0]
    joined = spacy.tokens.Doc(NLP.vocab, ["the cat"], [False])
    set_translation(joined, "le chat")
    assert len(encoder.sample(doc)[0]) == 2 and len(encoder.sample(joined)[0]) == 1
