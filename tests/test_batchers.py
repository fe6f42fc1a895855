import itertools
import random

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example

from spacy_seqgen.batchers import create_padded_pairs_batcher, create_text_streams_batcher
from spacy_seqgen.outputs import install_extensions
from spacy_seqgen.windows import Window, get_windows, set_window

NLP = spacy.blank("en")


def make_text(length):
    return "".join(chr(0x4E00 + i) for i in range(length))  # no character twice


def make_examples(text, piece, source="a"):
    """A text in pieces, as the reader gives it."""
    examples = []
    for start in range(0, len(text), piece):
        part = text[start : start + piece]
        doc = Doc(NLP.vocab, words=[part], spaces=[False])
        stop = start + len(part)
        set_window(doc, Window(source, start, stop, stop == len(text)))
        examples.append(Example(doc.copy(), doc))
    return examples


def rows_of(batch):
    (example,) = batch
    assert example.predicted.text == example.reference.text
    return get_windows(example.reference)


@given(
    st.integers(1, 60), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99)
)
def test_rows_go_on_where_they_were(length, piece, rows, window, seed):
    random.seed(seed)
    text = make_text(length)
    examples = make_examples(text, piece)
    random.shuffle(examples)
    batches = [rows_of(b) for b in create_text_streams_batcher(rows, window)(examples)]
    assert len(batches[0]) == min(rows, length)
    seen = sorted(char for batch in batches for part, _ in batch for char in part)
    assert seen == sorted(text)
    for batch in batches:
        for part, place in batch:
            assert 0 < len(part) <= window
            assert text[place.start : place.stop] == part
            assert place.is_last == (place.stop == length)
    for before, after in itertools.pairwise(batches):
        assert len(after) <= len(before)
        if len(after) == len(before):
            for (_, one), (_, two) in zip(before, after, strict=True):
                assert two.start == (0 if one.is_last else one.stop)


def test_epochs_begin_elsewhere():
    random.seed(0)
    batch, examples = create_text_streams_batcher(4, 5), make_examples(make_text(100), 10)
    firsts = {rows_of(next(batch(examples)))[0][1].start for _ in range(10)}
    assert len(firsts) > 3


def test_windows_do_not_cross_from_text_to_text():
    examples = make_examples(make_text(13), 5) + make_examples(make_text(7), 5, "b")
    rows = [r for b in create_text_streams_batcher(2, 4)(examples) for r in rows_of(b)]
    assert sorted({place.source for _, place in rows}) == ["a", "b"]
    assert sum(place.is_last for _, place in rows) == 2
    assert sum(len(part) for part, _ in rows) == 20


def test_what_pieces_repeat_is_learned_once():
    docs = []
    for start in (0, 5):
        doc = Doc(NLP.vocab, words=[make_text(15)[start : start + 10]], spaces=[False])
        set_window(doc, Window("a", start, start + 10, start == 5))
        docs.append(Example(doc.copy(), doc))
    rows = [r for b in create_text_streams_batcher(1, 50)(docs) for r in rows_of(b)]
    assert sorted("".join(part for part, _ in rows)) == sorted(make_text(15))


def test_a_buffer_bounds_what_is_taken_in():
    taken = []

    def stream():
        for example in make_examples(make_text(1000), 10):
            taken.append(example)
            yield example

    batches = create_text_streams_batcher(5, 4, buffer=200)(stream())
    next(batches)
    assert len(taken) == 20
    rest = sum(len(part) for batch in batches for part, _ in rows_of(batch))
    assert rest == 1000 - 20


def test_docs_that_are_no_pieces_are_texts():
    texts = ["To be, or not", "", "to be"]
    examples = [Example(NLP.make_doc(text), NLP.make_doc(text)) for text in texts]
    rows = [r for b in create_text_streams_batcher(2, 6)(examples) for r in rows_of(b)]
    assert sorted("".join(part for part, _ in rows)) == sorted("".join(texts))
    assert sum(place.is_last for _, place in rows) == 2


def test_nothing_in_nothing_out():
    assert list(create_text_streams_batcher(3, 3)([])) == []
    empty = Example(NLP.make_doc(""), NLP.make_doc(""))
    assert list(create_text_streams_batcher(3, 3)([empty])) == []


@pytest.mark.parametrize(
    "options", [{"rows": 0}, {"window": 0}, {"rows": 8, "window": 8, "buffer": 63}]
)
def test_settings_are_checked(options):
    with pytest.raises(ValueError, match=str(list(options)[-1])):
        create_text_streams_batcher(**options)


def test_a_window_taken_in_twice_is_no_overlap():
    examples = make_examples(make_text(20), 10) * 2
    rows = [r for b in create_text_streams_batcher(2, 4)(examples) for r in rows_of(b)]
    assert sum(len(part) for part, _ in rows) == 40


def make_pairs(lengths):
    examples = []
    for source, target in lengths:
        doc = Doc(NLP.vocab, words=["a" * source], spaces=[False])
        doc._.translation = "b" * target
        examples.append(Example(doc.copy(), doc))
    return examples


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=60),
    st.integers(1, 300),
    st.integers(1, 70),
)
def test_pairs_are_batched_by_padded_size(lengths, size, buffer):
    install_extensions()
    batches = list(create_padded_pairs_batcher(size, buffer)(make_pairs(lengths)))
    found = [
        [(len(eg.reference.text), len(eg.reference._.translation)) for eg in batch]
        for batch in batches
    ]
    assert sorted(pair for batch in found for pair in batch) == sorted(lengths)
    for batch in found:
        width = max(source for source, _ in batch) + max(target for _, target in batch)
        assert len(batch) == 1 or len(batch) * width <= size


@pytest.mark.parametrize("settings", [{"size": 0}, {"buffer": 0}])
def test_padded_pairs_settings(settings):
    with pytest.raises(ValueError, match="must be 1 or more"):
        create_padded_pairs_batcher(**settings)
