import tracemalloc

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_seqgen.readers import count_characters, create_plain_text_reader
from spacy_seqgen.vocabularies import UNK, Characters
from spacy_seqgen.windows import get_window

NLP = spacy.blank("en")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0123456789" * 10)
    return file


def texts(path, **options):
    examples = list(create_plain_text_reader(path, **options)(NLP))
    for example in examples:
        window = get_window(example.reference)
        assert example.predicted.text == example.reference.text
        assert len(example.predicted) >= 1
        assert window.stop - window.start == len(example.reference.text)
    return [example.reference.text for example in examples]


def test_windows_are_the_text(path):
    assert texts(path, window=30) == ["0123456789" * 3] * 3 + ["0123456789"]
    assert texts(path, window=0) == ["0123456789" * 10]


def test_windows_know_their_place(path):
    windows = [get_window(e.reference) for e in create_plain_text_reader(path, window=40)(NLP)]
    assert [(w.start, w.stop, w.is_last) for w in windows] == [
        (0, 40, False),
        (40, 80, False),
        (80, 100, True),
    ]
    assert {w.source for w in windows} == {str(path)}


def test_overlap(path):
    found = texts(path, window=40, overlap=10)
    assert [text[:2] for text in found] == ["01"] * 3
    assert "".join([found[0], *(text[10:] for text in found[1:])]) == "0123456789" * 10


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(1, 20), st.data())
def test_windows_cover_any_text(tmp_path_factory, length, window, data):
    overlap = data.draw(st.integers(0, window - 1))
    text = "".join(chr(97 + i % 26) for i in range(length))
    path = tmp_path_factory.mktemp("windows") / "a.txt"
    path.write_text(text)
    if not text:
        with pytest.raises(ValueError, match="no text"):
            texts(path, window=window, overlap=overlap)
        return
    found = texts(path, window=window, overlap=overlap)
    assert found[0] + "".join(part[overlap:] for part in found[1:]) == text
    assert all(len(part) == window for part in found[:-1])
    assert len(found[-1]) > (overlap if len(found) > 1 else 0)


@pytest.mark.parametrize(
    "start,stop,expected",
    [
        (0, 0.1, 10),
        (0.9, 1.0, 10),
        (0.25, None, 75),
        (95, None, 5),
        (0, 7, 7),
        (0.9, 0.95, 5),
        (0, 999, 100),
    ],
)
def test_ranges(path, start, stop, expected):
    assert sum(map(len, texts(path, window=8, start=start, stop=stop))) == expected


def test_ranges_go_on_over_files(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name * 10)
    assert texts(tmp_path, window=0, start=5, stop=15) == ["aaaaa", "bbbbb"]
    assert texts(tmp_path, window=0, start=0.5) == ["bbbbb", "cccccccccc"]
    reader = create_plain_text_reader(tmp_path, window=0, start=5, stop=15)
    assert [get_window(e.reference).is_last for e in reader(NLP)] == [True, False]


@pytest.mark.parametrize(
    "options,message",
    [
        ({"window": -1}, "window"),
        ({"window": 8, "overlap": 8}, "overlap"),
        ({"start": -1}, "start"),
        ({"stop": 1.5}, "stop"),
        ({"stop": ".95"}, "leading 0"),
        ({"stop": True}, "stop"),
        ({"stop": 1}, "Write 1.0 for the whole"),
        ({"shuffle_buffer": -1}, "shuffle_buffer"),
    ],
)
def test_bad_settings_are_named(path, options, message):
    with pytest.raises(ValueError, match=message):
        create_plain_text_reader(path, **options)


def test_no_path_says_what_to_do():
    with pytest.raises(ValueError, match=r"--paths\.train"):
        create_plain_text_reader(None)


@pytest.mark.parametrize("start,stop", [(0.5, 0.5), (200, None)])
def test_an_empty_range_is_an_error(path, start, stop):
    with pytest.raises(ValueError, match="no text"):
        texts(path, start=start, stop=stop)


def test_shuffling_differs_by_epoch_and_follows_the_seed(path):
    def epochs(seed):
        reader = create_plain_text_reader(path, window=7, shuffle_buffer=5, seed=seed)
        return [[get_window(e.reference).start for e in reader(NLP)] for _ in range(2)]

    first, second = epochs(0)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(0, 100, 7))
    assert epochs(0) == [first, second]
    assert epochs(1)[0] != first


def test_tokens(path):
    path.write_text("A small text.")
    (example,) = create_plain_text_reader(path, tokenize=True)(NLP)
    assert len(example.predicted) == 4
    (example,) = create_plain_text_reader(path)(NLP)
    assert len(example.predicted) == 1


def test_strings_of_the_corpus_stay_out_of_the_pipeline(path):
    before = len(NLP.vocab.strings)
    texts(path, window=9)
    assert len(NLP.vocab.strings) == before


def test_large_texts_are_read_in_bounded_memory(tmp_path):
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        for i in range(60):
            file.write(f"{i} " * 40_000)  # 6 MB in all, no window like another
    reader = create_plain_text_reader(path, window=500, shuffle_buffer=50)
    for _ in zip(range(2000), reader(NLP), strict=False):
        pass
    tracemalloc.start()
    count = sum(len(example.reference.text) for example in reader(NLP))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 6_000_000
    assert peak < 12_000_000


def test_count_characters(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"x{name}")
    assert count_characters(tmp_path) == {"x": 2, "a": 1, "b": 1}


@pytest.mark.parametrize("options", [{"lowercase": True}, {"nfc": True}])
def test_characters_are_counted_as_the_vocabulary_makes_them(tmp_path, options):
    (tmp_path / "a.txt").write_text("HELLO World\ncafe\u0301\n" * 3)
    vocabulary = Characters(**options)
    vocabulary.build(count_characters(tmp_path, **options))
    assert UNK not in vocabulary.encode("hello WORLD"[: 11 * ("lowercase" in options)]).ids
    assert UNK not in vocabulary.encode("cafe\u0301").ids


def test_characters_of_a_text_without_lines_are_counted_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_seqgen.readers._LONGEST_LINE", 10)
    monkeypatch.setattr("spacy_seqgen.textfiles._BLOCK", 7)
    (tmp_path / "a.txt").write_text("ab" * 50)
    assert count_characters(tmp_path) == {"a": 50, "b": 50}


def test_counts_of_other_characters_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("Hello")
    with pytest.raises(ValueError, match=r"'H'.*lowercase = True"):
        Characters(lowercase=True).build(count_characters(tmp_path))


def test_a_share_of_1_is_the_whole(path, monkeypatch):
    monkeypatch.setattr("spacy_seqgen.readers.count_length", lambda path: pytest.fail("was read"))
    assert "".join(texts(path, start=0.0, stop=1.0)) == path.read_text()
