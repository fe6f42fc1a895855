import itertools
import random

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example

from spacy_seqgen.batchers import create_text_streams_batcher
from spacy_seqgen.windows import Window, get_window, set_window

NLP = spacy.blank("en")


def make_examples(count, sources=1):
    examples = []
    for source in range(sources):
        for i in range(count):
            doc = Doc(NLP.vocab, words=["x"])
            set_window(doc, Window(str(source), i * 10, i * 10 + 10, i == count - 1))
            examples.append(Example(doc.copy(), doc))
    return examples


def places(batch):
    windows = [get_window(example.reference) for example in batch]
    return [int(w.source) * 1000 + w.start // 10 for w in windows]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_rows_go_on_where_they_were(count, rows, seed):
    random.seed(seed)
    examples = make_examples(count)
    random.shuffle(examples)
    batches = [places(batch) for batch in create_text_streams_batcher(rows)(examples)]
    assert sorted(place for batch in batches for place in batch) == list(range(count))
    assert len(batches[0]) == min(rows, count)
    for before, after in itertools.pairwise(batches):
        assert len(after) <= len(before)
        # Rows stay in place as long as all are there; streams differ by one at most.
        if len(after) == len(before):
            assert all(b == (a + 1) % count for a, b in zip(before, after, strict=True))


def test_epochs_begin_elsewhere():
    random.seed(0)
    batch, examples = create_text_streams_batcher(4), make_examples(40)
    firsts = {places(next(batch(examples)))[0] for _ in range(10)}
    assert len(firsts) > 3


def test_files_stay_apart():
    examples = make_examples(6, sources=2)
    (batch, *_) = create_text_streams_batcher(12)(examples)
    assert sorted(places(batch)) == [*range(6), *range(1000, 1006)]


def test_a_buffer_bounds_what_is_taken_in():
    taken = []

    def stream():
        for example in make_examples(100):
            taken.append(example)
            yield example

    batches = create_text_streams_batcher(5, buffer=20)(stream())
    next(batches)
    assert len(taken) == 20
    assert sum(map(len, batches)) == 95


def test_docs_without_a_place():
    docs = [Doc(NLP.vocab, words=[str(i)]) for i in range(7)]
    examples = [Example(doc.copy(), doc) for doc in docs]
    batches = list(create_text_streams_batcher(3)(examples))
    assert sorted(e.reference.text for b in batches for e in b) == sorted(d.text for d in docs)


def test_nothing_in_nothing_out():
    assert list(create_text_streams_batcher(3)([])) == []


@pytest.mark.parametrize("options", [{"rows": 0}, {"rows": 8, "buffer": 4}])
def test_settings_are_checked(options):
    with pytest.raises(ValueError, match=str(list(options)[-1])):
        create_text_streams_batcher(**options)
