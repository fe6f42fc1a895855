"""The phrasebook in scripts."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_phrasebook.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="not in an installed package")


@pytest.fixture(scope="module")
def scripts():
    """The modules of the phrasebook."""
    names = "phrasebook_words", "phrasebook_grammar", "make_phrasebook"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield [importlib.import_module(name) for name in names]
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def phrasebook(scripts):
    return scripts[-1]


@pytest.fixture(scope="module")
def grammar(scripts):
    return scripts[1]


@pytest.fixture(scope="module")
def pairs(phrasebook):
    return phrasebook.sample_pairs(4000, seed=0)


def test_pairs_are_distinct_and_the_same_each_time(phrasebook, pairs):
    assert len({en for en, _, _ in pairs}) == 4000
    assert pairs == phrasebook.sample_pairs(4000, seed=0)
    assert pairs != phrasebook.sample_pairs(4000, seed=1)


def test_there_are_enough_of_enough_kinds(phrasebook):
    sizes = [len(pattern) for pattern in phrasebook.patterns()]
    assert len(sizes) >= 12
    assert min(sizes) > 50
    assert sum(sizes) > 20_000


SENTENCES = [
    ("weather", {}, "The weather is fine.", "Il fait beau.", "0-0 1-0 2-1 3-2 4-3"),
    ("asked_weather", {}, "Is the weather very cold in winter?",
     "Est-ce qu'il fait très froid en hiver ?", None),
    ("statement", {"adjective": "black"}, "I see the black cat.", "Je vois le chat noir.",
     "0-0 1-1 2-2 3-4 4-3 5-5"),
    ("statement", {"adjective": "small"}, "I see the small cat.", "Je vois le petit chat.",
     "0-0 1-1 2-2 3-3 4-4 5-5"),
    ("statement", {"subject": "he", "verb": "like", "noun": "tree", "adjective": "old"},
     "He likes the old tree.", "Il aime le vieil arbre.", "0-0 1-1 2-2 3-3 4-4 5-5"),
    ("denial", {"verb": "like", "determiner": "my", "noun": "friend"},
     "I do not like my friend.", "Je n'aime pas mon ami.", "0-0 2-1 2-2 3-3 4-5 5-6 6-7"),
    ("pronoun", {"verb": "like"}, "I like him.", "Je l'aime.", "0-0 1-3 2-1 2-2 3-4"),
    ("owned", {}, "My sister's car is red.", "La voiture de ma sœur est rouge.",
     "0-3 1-4 2-2 3-2 4-1 5-5 6-6 7-7"),
    ("asked", {"noun": "key", "plural": True, "adjective": "new"},
     "Are the keys new?", "Est-ce que les clés sont nouvelles ?", None),
    ("question", {"subject": "she", "verb": "want", "determiner": "this", "noun": "apple"},
     "Does she want this apple?", "Est-ce qu'elle veut cette pomme ?", None),
    ("order", {"verb": "follow", "determiner": "this", "noun": "horse", "plural": True,
               "adjective": "beautiful"},
     "Follow these beautiful horses!", "Suivez ces beaux chevaux !", None),
    ("wish", {"subject": "they", "verb": "find", "determiner": "your", "noun": "orange"},
     "They want to find your orange.", "Ils veulent trouver votre orange.", None),
    ("not_described", {"determiner": "my", "noun": "picture", "plural": True,
                       "adjective": "strange"},
     "My pictures are not strange.", "Mes images ne sont pas étranges.", None),
    ("not_described", {"determiner": "this", "noun": "egg", "adjective": "white"},
     "This egg is not white.", "Cet œuf n'est pas blanc.", None),
]  # fmt: skip


def make_sentence(book, kind, subject="I", verb="see", determiner="the", noun="cat",
                  plural=False, adjective=None):  # fmt: skip
    def find(items, en):
        return next((item for item in items if item[0] == en), None)

    who, does = find(book.SUBJECTS, subject), find(book.VERBS, verb)
    what, how = find(book.NOUNS, noun), find(book.ADJECTIVES, adjective)
    thing = book.noun_phrase(determiner, what, plural, how)
    if kind == "weather":
        return book.weather(book.WEATHER[0], book.DEGREES[0], book.OCCASIONS[0], False)
    if kind == "asked_weather":
        return book.asked_weather(book.WEATHER[2], book.DEGREES[1], book.OCCASIONS[7])
    if kind == "pronoun":
        return book.pronoun(who, does, book.OBJECTS[1], False)
    if kind == "owned":
        sister, car = find(book.NOUNS, "sister"), find(book.NOUNS, "car")
        return book.owned(sister, car, find(book.ADJECTIVES, "red"))
    if kind == "order":
        return book.order(does, thing)
    if kind in ("asked", "not_described"):
        return getattr(book, kind)(determiner, what, plural, how)
    return getattr(book, kind)(who, does, thing)


@pytest.mark.parametrize("kind,words,en,fr,links", SENTENCES, ids=[row[2] for row in SENTENCES])
def test_sentences(phrasebook, grammar, kind, words, en, fr, links):
    """One of each rule at work."""
    pair = phrasebook.make_pair(make_sentence(grammar, kind, **words))
    assert pair[:2] == (en, fr)
    assert links is None or pair[2] == links


def test_alignments_point_at_tokens(phrasebook, pairs):
    for en, fr, links in pairs[:500]:
        sizes = len(phrasebook.TOKEN.findall(en)), len(phrasebook.TOKEN.findall(fr))
        found = [tuple(map(int, link.split("-"))) for link in links.split()]
        assert all(i < sizes[0] and j < sizes[1] for i, j in found)
        assert (sizes[0] - 1, sizes[1] - 1) in found  # the last marks


def test_files(phrasebook, tmp_path):
    phrasebook.main(tmp_path, size=240)
    names = [f"{part}.{kind}" for part in ("dev", "test", "train") for kind in ("align", "tsv")]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, "samples.txt"])
    parts = {p.stem: set(p.read_text().splitlines()) for p in tmp_path.glob("*.tsv")}
    assert {name: len(rows) for name, rows in parts.items()} == {
        "dev": 10, "test": 10, "train": 220,
    }  # fmt: skip
    assert not parts["train"] & (parts["dev"] | parts["test"])
