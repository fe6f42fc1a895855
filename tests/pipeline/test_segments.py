import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_seqgen.pipeline.segments import find_segments, join_segments

NLP = spacy.blank("xx")


@given(st.text(alphabet="ab .,\n。é\u0301", max_size=200), st.integers(0, 30))
def test_pieces_lose_nothing_and_keep_the_limit(text, longest):
    segments = find_segments(NLP.make_doc(text), longest)
    parts = [text[start:end] for start, end in segments]
    assert join_segments(text, segments, parts) == text
    assert all(part == part.strip() and part for part in parts)
    if longest:
        assert all(len(part) <= longest for part in parts)
    rest = join_segments(text, segments, ["" for _ in parts])
    assert not rest.strip()


@pytest.mark.parametrize(
    "text,expected",
    [
        ("One is here. Two is. Three", ["One is here. Two is.", "Three"]),
        ("one is, two and three more", ["one is, two and", "three more"]),
        ("a" * 45, ["a" * 20, "a" * 20, "a" * 5]),
        ("これは本です。それはペンです。" * 2, ["これは本です。それはペンです。"] * 2),
        ('He said "one here." Then two', ['He said "one here."', "Then two"]),
    ],
)  # fmt: skip
def test_where_long_lines_are_cut(text, expected):
    found = find_segments(NLP.make_doc(text), 20)
    assert [text[start:end] for start, end in found] == expected


def test_a_number_is_not_the_end_of_a_sentence():
    text = "It is quite so. Then he said that it was 3.14 and no more of it"
    first, second = find_segments(spacy.blank("en").make_doc(text), text.index("14"))[:2]
    assert text[first.start : first.end].endswith("was")
    assert text[second.start : second.end].startswith("3.14")
