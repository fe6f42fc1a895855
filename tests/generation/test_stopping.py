import numpy as np
import pytest

from spacy_seqgen.generation.stopping import EndOfText, StopStrings

SYMBOLS = ["<pad>", "<unk>", "<s>", "</s>", *"abcdefgh", "ab", "cd"]


def decode(ids):
    return "".join(SYMBOLS[i] for i in ids)


def ids(text):
    return [SYMBOLS.index(char) for char in text]


def test_end_of_text():
    condition = EndOfText(3)
    generated = np.array([[4], [3], [5]])
    assert list(condition([4, 3, 5], generated)) == [1]
    assert not condition([4, 4], generated[:2])


@pytest.mark.parametrize(
    "generated,stops", [("aabc", True), ("abcd", False), ("ab", False), ("abcab", False)]
)
def test_stop_string_must_just_be_completed(generated, stops):
    condition = StopStrings(["abc"], SYMBOLS, decode)
    row = ids(generated)
    assert list(condition([row[-1]], np.array([row]))) == ([0] if stops else [])


def test_stop_string_across_symbols_of_several_characters():
    condition = StopStrings(["bc"], SYMBOLS, decode)
    row = [SYMBOLS.index("ab"), SYMBOLS.index("cd")]
    assert list(condition([row[-1]], np.array([row]))) == [0]
    assert condition.trim(decode(row)) == "a"


def test_stop_string_does_not_count_before_min_length():
    condition = StopStrings(["a"], SYMBOLS, decode, min_length=2)
    assert not list(condition([4], np.array([[5, 4]])))
    assert list(condition([4], np.array([[4, 5, 4]]))) == [0]
    assert condition.trim("aba") == "ab"  # the one that counted


def test_longest_of_two_that_end_together_is_cut():
    assert StopStrings(["b", "ab"], SYMBOLS, decode).trim("cab") == "c"


def test_pending():
    condition = StopStrings(["abc", "bd"], SYMBOLS, decode)
    assert condition.pending("xxab") == 2
    assert condition.pending("xxb") == 1
    assert condition.pending("xx") == 0
    assert condition.pending("") == 0


def test_a_stop_string_before_min_length_does_not_count_later():
    condition = StopStrings(["a", "hhhhb"], SYMBOLS, decode, min_length=2)
    assert not list(condition([5], np.array([ids("acb")])))
    assert list(condition([4], np.array([ids("aca")]))) == [0]
