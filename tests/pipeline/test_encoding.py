import copy
import pickle

import numpy as np
import pytest
import spacy

from spacy_seqgen.pipeline import encoding
from spacy_seqgen.pipeline.encoding import KeptPairs, encode_pair
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


def make_vocabularies(kind=Subwords, **settings):
    vocabularies = []
    for texts in zip(*PAIRS, strict=True):
        vocabularies.append(kind(**settings))
        vocabularies[-1].build(vocabularies[-1].count(texts))
    return vocabularies


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("kind", [Subwords, Characters, Words])
def test_what_is_kept_is_what_would_be_found(kind):
    kept, vocabularies = KeptPairs(), make_vocabularies(kind)
    for _ in range(2):
        for doc in make_docs():
            assert same(kept.sample(doc, *vocabularies), encode_pair(doc, *vocabularies))
    assert len(kept._pairs) == (0 if kind is Words else len(PAIRS))


def test_each_pair_is_cut_once(monkeypatch):
    kept, (source, target), seen = KeptPairs(), make_vocabularies(), []
    cut = source.sample
    monkeypatch.setattr(source, "sample", lambda text: seen.append(text.text) or cut(text))
    for _ in range(3):
        for doc in make_docs(PAIRS[:2]):  # other Docs with the same text
            kept.sample(doc, source, target)
    assert seen == ["the cat", "the dog"]


def test_another_vocabulary_is_noticed():
    kept, (source, target), docs = KeptPairs(), make_vocabularies(), make_docs()
    before = kept.sample(docs[0], source, target)
    target.from_dict(make_vocabularies(size=12)[1].to_dict())
    after = [kept.sample(doc, source, target) for doc in docs]
    expected = [encode_pair(doc, source, target) for doc in docs]
    assert all(map(same, after, expected))
    assert not same(before, after[0])


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    kept, vocabularies = KeptPairs(), make_vocabularies()
    kept._room = 450  # after which the second pair is too long, and the last one fits
    monkeypatch.setattr(encoding, "_EACH", 200)
    monkeypatch.setattr(encoding, "_MOST", 450)
    pairs = [PAIRS[0], ("the cat " * 20, "le chat " * 20), PAIRS[3], PAIRS[2]]
    for doc in make_docs(pairs):
        assert same(kept.sample(doc, *vocabularies), encode_pair(doc, *vocabularies))
    assert list(kept._pairs) == [pairs[0], pairs[2]]
    assert 0 <= kept._room < 200


def test_a_copy_keeps_nothing():
    kept, vocabularies = KeptPairs(), make_vocabularies()
    kept.sample(make_docs()[0], *vocabularies)
    for copied in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert not copied._pairs
        assert same(copied.sample(make_docs()[0], *vocabularies), *kept._pairs.values())


def test_words_are_cut_in_many_ways_where_that_is_wanted():
    kept, vocabularies = KeptPairs(), make_vocabularies(dropout=0.5)
    doc = make_docs([("the cat", "le chien")])[0]
    assert len({kept.sample(doc, *vocabularies)[1].tobytes() for _ in range(50)}) > 1
    assert not kept._pairs


def test_tokens_count_where_they_are_symbols():
    kept, vocabularies = KeptPairs(), make_vocabularies(Words)
    joined = spacy.tokens.Doc(NLP.vocab, ["the cat"], [False])
    set_translation(joined, "le chat")
    sizes = [len(kept.sample(doc, *vocabularies)[0]) for doc in (make_docs()[0], joined)]
    assert sizes == [2, 1]
