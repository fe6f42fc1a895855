import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer

from spacy_seqgen.vocabularies import UNK
from spacy_seqgen.vocabularies.words import Words

TEXTS = [
    "The weather is fine.",
    "We don't know (yet), she said.",
    'He said "no", twice.',
    "It's my sister's car; isn't it?",
]
FRENCH = [
    "Il fait beau !",
    "L'homme n'est pas là.",
    "Est-ce que l'arbre est vieux ?",
    "L'ami dort.",
]


def make_words(texts=TEXTS, **settings):
    vocabulary = Words(**{"lang": "en", **settings})
    vocabulary.build(vocabulary.count(texts))
    return vocabulary


@pytest.mark.parametrize("lang,texts", [("en", TEXTS), ("fr", FRENCH)])
def test_texts_come_back(lang, texts):
    vocabulary = make_words(texts, lang=lang)
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text).ids.tolist()) == text


def test_a_doc_brings_its_own_tokens():
    nlp = spacy.blank("en")
    doc = nlp("The weather  isn't fine.")
    words, starts = Words(lang="xx").split(doc)
    assert list(words) == ["The", "weather", "is", "n't", "fine", "."]
    assert starts.tolist() == [0, 4, 13, 15, 19, 23]


def test_so_does_a_part_of_one():
    doc = spacy.blank("en")("The weather isn't fine.")
    words, starts = Words(lang="xx").split(doc[1:4])
    assert list(words) == ["weather", "is", "n't"]
    assert starts.tolist() == [0, 8, 10]


def test_a_word_keeps_its_space_where_no_mark_takes_it():
    vocabulary = make_words(["l'homme dort", "l'homme voit", "un homme"], lang="fr")
    ids = vocabulary.encode("un homme voit l'homme").ids.tolist()
    assert vocabulary.decode(ids) == "un homme voit l'homme"


def test_unknown_words():
    vocabulary = make_words()
    assert (
        vocabulary.decode(vocabulary.encode("The 😀 is fine.").ids.tolist())
        == "The \ufffd is fine."
    )


def test_limits():
    vocabulary = make_words(["a a a b b c"], size=6)
    assert vocabulary.symbols[4:] == ["a", "b"]
    assert make_words(["a a b"], min_count=2).symbols[4:] == ["a"]
    assert make_words(["A a"], lowercase=True).symbols[4:] == ["a"]


@given(st.text())
def test_nothing_raises(text):
    encoded = VOCABULARY.encode(text)
    assert len(encoded.ids) == len(encoded.starts)
    assert isinstance(VOCABULARY.decode(encoded.ids.tolist()), str)


VOCABULARY = make_words()


def test_round_trip():
    vocabulary = make_words(lowercase=True)
    other = Words().from_bytes(vocabulary.to_bytes())
    assert other.to_dict() == vocabulary.to_dict()
    ids = vocabulary.encode(TEXTS[1]).ids.tolist()
    assert other.decode(ids) == vocabulary.decode(ids) == TEXTS[1].lower()
    assert UNK not in ids


@pytest.mark.parametrize("glued", [None, {}, {"left": [1], "right": []}])
def test_damaged_data(glued):
    with pytest.raises(ValueError, match="'glued'"):
        Words().from_dict({**make_words().to_dict(), "glued": glued})


@pytest.mark.parametrize(
    "settings,message",
    [({"lang": "klingon"}, "lang must be"), ({"size": 3}, "size must be"), ({"size": -1}, "size")],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Words(**settings)


def test_words_without_spaces_between_them():
    vocabulary = Words(lang="zh")
    texts = ["我喜欢猫。", "猫喜欢我。", "我看猫。"]
    vocabulary.build(vocabulary.count(texts))
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text).ids) == text


def test_a_corpus_that_has_names_of_special_symbols_in_it():
    """Others prepared it, and marked what they did not know."""
    nlp = spacy.blank("en")
    nlp.tokenizer = Tokenizer(nlp.vocab)
    docs = [nlp("the <unk> sleeps </s>"), nlp("<s> <pad> the cat")]
    for size in (0, 6):
        vocabulary = make_words(docs, size=size)
        assert len(set(vocabulary.symbols)) == len(vocabulary.symbols)
        assert vocabulary.encode(docs[0]).ids[[1, 3]].tolist() == [UNK, UNK]
        again = Words(lang="en").from_dict(vocabulary.to_dict())
        assert again.symbols == vocabulary.symbols


def test_a_word_with_a_mark_inside_takes_no_space_from_others():
    """It only ever stood before the end of a sentence, which has none."""
    french = make_words(["Il fait beau aujourd'hui.", "Il vient aujourd'hui."], lang="fr")
    assert "aujourd'hui" in french.symbols
    for text in ("Il vient aujourd'hui beau", "aujourd'hui Il vient", "Il vient aujourd'hui."):
        assert french.decode(french.encode(text).ids.tolist()) == text
    german = make_words(["Ein Mann mit E-Gitarre.", "Die E-Gitarre, ein Mann."], lang="de")
    text = "Mann mit E-Gitarre Ein Mann, E-Gitarre."
    assert german.decode(german.encode(text).ids.tolist()) == text


def test_vowel_signs_are_no_marks():
    hindi = make_words(["लड़का घर जाता है।", "लड़की सोती है।", "किताब अच्छी है।"], lang="hi")
    text = "लड़की सोती है लड़का घर जाता है।"
    assert hindi.decode(hindi.encode(text).ids.tolist()) == text
