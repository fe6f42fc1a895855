import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_seqgen.vocabularies import SPECIALS, UNK
from spacy_seqgen.vocabularies.subwords import Subwords

TEXTS = ["The weather is fine.", "The weather is bad.", "l'homme est là, n'est-ce pas ?"]

WORDS = sorted({word for text in TEXTS for word in text.split()})


def make_subwords(**settings):
    vocabulary = Subwords(**{"size": 80, "min_count": 1, **settings})
    vocabulary.build(vocabulary.count(TEXTS * 3))
    return vocabulary


@pytest.fixture(scope="module")
def vocabulary():
    return make_subwords()


def test_texts_come_back(vocabulary):
    for text in TEXTS:
        encoded = vocabulary.encode(text)
        assert vocabulary.decode(encoded.ids.tolist()) == text
        assert UNK not in encoded.ids


def test_symbols_are_pieces(vocabulary):
    assert vocabulary.symbols[:4] == list(SPECIALS)
    assert len(vocabulary) <= 80
    assert "\u2581weather" in vocabulary.symbols
    assert len(vocabulary.encode("The weather").ids) == 2


def test_offsets(vocabulary):
    encoded = vocabulary.encode("The weather is fine.")
    assert encoded.starts.tolist() == [0, 4, 12, 15, 19]  # as those of the tokens
    text = "l'homme est ici "
    starts = vocabulary.encode(text).starts.tolist()
    pieces = [text[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert "".join(pieces) == text


def test_no_piece_reaches_across_words_or_marks(vocabulary):
    for symbol in vocabulary.symbols[4:]:
        core = symbol.removeprefix("\u2581")
        assert "\u2581" not in core
        assert core.isalnum() or len(core) <= 1


def test_unknown_characters(vocabulary):
    encoded = vocabulary.encode("The 😀.")
    assert UNK in encoded.ids
    assert vocabulary.decode(encoded.ids.tolist()) == "The \ufffd."


@given(st.text())
def test_nothing_raises(text):
    encoded = VOCABULARY.encode(text)
    assert len(encoded.ids) == len(encoded.starts)
    assert (encoded.starts[1:] >= encoded.starts[:-1]).all()


VOCABULARY = make_subwords()


def test_lower_case():
    lower = make_subwords(lowercase=True)
    assert lower.decode(lower.encode("THE WEATHER").ids.tolist()) == "the weather"


def test_round_trip(vocabulary):
    other = Subwords(size=5).from_bytes(vocabulary.to_bytes())
    assert other.symbols == vocabulary.symbols
    assert other.settings == vocabulary.settings
    for text in TEXTS:
        assert other.encode(text).ids.tolist() == vocabulary.encode(text).ids.tolist()


@given(st.lists(st.sampled_from(WORDS), min_size=1), st.integers(20, 120))
def test_a_part_of_a_vocabulary_has_the_same_ids(words, size):
    whole = make_subwords(size=size)
    before = {text: whole.split(text)[0] for text in (*TEXTS, " ".join(words))}
    part = Subwords().from_dict(whole.put_first([" ".join(words)]))
    assert part.symbols == whole.symbols[: len(part)]
    assert {text: whole.split(text)[0] for text in before} == before
    own = " ".join(words)
    assert part.encode(own).ids.tolist() == whole.encode(own).ids.tolist()
    for text in TEXTS:  # of pieces, as they come
        assert part.decode(part.encode(text).ids.tolist()) == whole.decode(whole.encode(text).ids)


def test_a_part_of_a_vocabulary_lacks_what_is_not_needed(vocabulary):
    whole = make_subwords()
    part = Subwords().from_dict(whole.put_first(["The weather"]))
    assert {"\u2581weather", "\u2581The"} <= set(part.symbols)
    assert set(whole.symbols) - set(part.symbols) >= {"\u2581is"}
    assert sorted(whole.symbols) == sorted(vocabulary.symbols)
    assert part.settings == whole.settings


@pytest.mark.parametrize(
    "change,message",
    [
        ({"merges": None}, "'merges' must be"),
        ({"merges": [["a"]]}, "'merges' must be"),
        ({"merges": [["zz", "qq"]]}, "which is no symbol"),
        ({"kind": "spacy-seqgen.Characters.v1"}, "expected a"),
    ],
)
def test_damaged_data(vocabulary, change, message):
    with pytest.raises(ValueError, match=message):
        Subwords().from_dict({**vocabulary.to_dict(), **change})


def test_no_text():
    with pytest.raises(ValueError, match="no text"):
        Subwords().build({})


def test_dropout_cuts_words_in_many_ways_in_training_only():
    text = "The weather is fine."
    vocabulary = make_subwords(dropout=0.5)
    plain = vocabulary.encode(text).ids.tolist()
    ways = {tuple(vocabulary.sample(text).ids.tolist()) for _ in range(50)}
    assert len(ways) > 5
    assert {vocabulary.decode(way) for way in ways} == {text}
    assert all(vocabulary.encode(text).ids.tolist() == plain for _ in range(20))
    loaded = Subwords().from_bytes(vocabulary.to_bytes())
    assert loaded.dropout == 0.5
    with pytest.raises(ValueError, match="dropout must be"):
        Subwords(dropout=1.0)


def test_a_large_alphabet_fits_the_size():
    vocabulary = Subwords(size=100, min_count=1)
    vocabulary.build({"".join(map(chr, range(0x4E00, 0x4F00))): 2})
    assert len(vocabulary) <= 100


def test_rare_characters_are_unknown():
    vocabulary = Subwords(size=100, min_count=2)
    vocabulary.build({"banana bandana": 3, "q": 1})
    assert "q" not in vocabulary
    assert UNK in vocabulary.encode("q").ids
