import itertools
import unicodedata

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_seqgen.vocabularies import BOS, EOS, PAD, SPECIALS, UNK, Characters, Vocabulary

any_text = st.text(st.characters(exclude_categories=()), max_size=40)  # surrogates included


def build(text="hello world", **options):
    vocabulary = Characters(**options)
    vocabulary.build(vocabulary.count([text]))
    return vocabulary


def test_special_ids():
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert tuple(build().symbols[:4]) == SPECIALS


def test_most_frequent_first():
    assert build("abbccc").symbols[4:] == ["c", "b", "a"]
    assert build("ba").symbols[4:] == ["a", "b"]


@given(any_text)
def test_known_text_survives(text):
    vocabulary = Characters()
    if not text:
        return
    vocabulary.build(vocabulary.count([text]))
    encoded = vocabulary.encode(text)
    assert vocabulary.decode(encoded.ids.tolist()) == text
    assert encoded.starts.tolist() == list(range(len(text)))


@given(any_text)
def test_unknown_text_never_raises(text):
    encoded = build("abc").encode(text)
    assert len(encoded.ids) == len(encoded.starts) == len(text)
    assert all((i == UNK) == (char not in "abc") for i, char in zip(encoded.ids, text, strict=True))


@given(any_text, st.booleans(), st.booleans())
def test_offsets_point_to_where_each_symbol_comes_from(text, nfc, lowercase):
    vocabulary = build("abc", nfc=nfc, lowercase=lowercase)
    symbols, starts = vocabulary.split(text)
    expected = unicodedata.normalize("NFC", text) if nfc else text
    if not lowercase:
        assert symbols == expected
    assert len(symbols) == len(starts)
    assert (np.diff(starts) >= 0).all()
    assert ((starts >= 0) & (starts < max(len(text), 1))).all()
    # Every piece of the text from one offset to the next comes to the same symbols.
    bounds = sorted({*starts.tolist(), len(text)}) if len(starts) else []
    for first, last in itertools.pairwise(bounds):
        piece = "".join(s for s, start in zip(symbols, starts, strict=True) if start == first)
        part = text[first:last]
        if (nfc and len(part) < 2) or not nfc:
            assert piece == (part.lower() if lowercase else part) or nfc or "Σ" in part


@pytest.mark.parametrize(
    "text,symbols,starts",
    [
        ("e\u0301a", "éa", [0, 2]),
        ("ae\u0301\u0301", "aé\u0301", [0, 1, 2]),
        ("\u1100\u1161\u11a8x", "각x", [0, 3]),
        ("\u0301e", "\u0301e", [0, 1]),
        ("abc", "abc", [0, 1, 2]),
    ],
)
def test_composition(text, symbols, starts):
    found = build("abc", nfc=True).split(text)
    assert (found[0], found[1].tolist()) == (symbols, starts)


def test_lower_case_that_grows():
    symbols, starts = build("abc", lowercase=True).split("aİB")
    assert (symbols, starts.tolist()) == ("ai\u0307b", [0, 1, 1, 2])


def test_settings_change_what_is_counted():
    assert "A" not in build("aAé", lowercase=True)
    assert "\u0301" not in build("e\u0301", nfc=True)
    assert build("aab", min_count=2).symbols[4:] == ["a"]
    assert build("aab", min_count=2).encode("ab").ids.tolist() == [4, UNK]


@pytest.mark.parametrize("text", ["", "abc"])
def test_nothing_to_build_from(text):
    with pytest.raises(ValueError, match="min_count"):
        build(text, min_count=2)


def test_min_count_is_checked():
    with pytest.raises(ValueError, match="min_count"):
        Characters(min_count=0)


def test_docs_are_read_as_their_text():
    doc = spacy.blank("en")("hello  world")
    assert build().encode(doc).ids.tolist() == build().encode("hello  world").ids.tolist()


def test_decode_special_ids():
    assert build("ab").decode([BOS, 4, UNK, 5, EOS, PAD]) == "a\ufffdb"


@given(any_text.filter(bool), st.booleans(), st.booleans())
def test_round_trip(text, nfc, lowercase):
    vocabulary = build(text, nfc=nfc, lowercase=lowercase)
    other = Characters().from_bytes(vocabulary.to_bytes())
    assert other.to_dict() == vocabulary.to_dict()
    assert other.encode(text).ids.tolist() == vocabulary.encode(text).ids.tolist()


def test_disk_round_trip(tmp_path):
    build("hëllo\0\U0001f600").to_disk(tmp_path / "v")
    assert Characters().from_disk(tmp_path / "v").to_dict() == build("hëllo\0\U0001f600").to_dict()


GOOD = build("abc").to_dict()


@pytest.mark.parametrize(
    "change,message",
    [
        ({"kind": "other.Vocabulary.v1"}, "other.Vocabulary.v1"),
        ({"version": 2}, "newer"),
        ({"version": "x"}, "version"),
        ({"symbols": "abc"}, "list of strings"),
        ({"symbols": [1, 2]}, "list of strings"),
        ({"symbols": ["a", "b"]}, "begin with"),
        ({"symbols": [*SPECIALS, "a", "a"]}, "twice"),
        ({"symbols": [*SPECIALS, "ab"]}, "one character"),
        ({"settings": None}, "settings"),
    ],
)
def test_damaged_data_is_refused(tmp_path, change, message):
    import srsly

    with pytest.raises(ValueError, match=message):
        Characters().from_dict({**GOOD, **change})
    path = tmp_path / "vocabulary"
    srsly.write_json(path, {**GOOD, **change})
    with pytest.raises(ValueError, match=str(path)):
        Characters().from_disk(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_vocabulary(data):
    with pytest.raises(ValueError):
        Characters().from_bytes(data)


def test_a_new_kind_needs_split_and_join_only():
    """Words and subwords will fit the same interface."""

    class Words(Vocabulary):
        kind = "test.Words.v1"

        def split(self, source):
            text = str(source)
            starts = [i for i in range(len(text)) if i == 0 or text[i - 1] == " "]
            return text.split(" "), np.array(starts)

        def join(self, symbols):
            return " ".join(symbols)

    words = Words()
    words.build(words.count(["to be or not to be"]))
    encoded = words.encode("be not there")
    assert words.decode(encoded.ids.tolist()) == "be not \ufffd"
    assert encoded.starts.tolist() == [0, 3, 7]
    assert Words().from_bytes(words.to_bytes()).symbols == words.symbols
