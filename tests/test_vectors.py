import gzip

import numpy as np
import pytest
import spacy

from spacy_seqgen.generation.options import OptionError
from spacy_seqgen.textfiles import TextFileError
from spacy_seqgen.vectors import find_vectors, read_vectors

LINES = ["the 1 0 0.5", "cat 0 2 -1e-1", "Dog 3 3 3", "dog 4 4 4", ". . . 7 8 9", "none 0 0 0"]
THE, CAT = [1, 0, 0.5], [0, 2, -0.1]


def write(path, lines=LINES):
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path, words=("the", "cat", ". . .", "none", "bird"), width=3):
    return {word: vector.tolist() for word, vector in read_vectors(path, words, width).items()}


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.txt.gz"])
@pytest.mark.parametrize("header", [[], ["6 3"]], ids=["no header", "header"])
def test_text_files(tmp_path, name, header):
    found = read(write(tmp_path / name, header + LINES))
    assert found == {"the": THE, "cat": pytest.approx(CAT), ". . .": [7, 8, 9]}


def test_spaces_at_the_end_byte_order_marks_and_windows(tmp_path):
    lines = ["\ufeff2 3", "the 1 0 0.5 \r", "a\xa0b 1 2 3\r", ""]
    assert read(write(tmp_path / "v", lines), ["the", "a\xa0b"]) == {
        "the": THE,
        "a\xa0b": [1, 2, 3],
    }


def test_the_first_vector_of_a_word_counts(tmp_path):
    assert read(write(tmp_path / "v", [*LINES, "the 9 9 9"]))["the"] == THE


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save, dtype, monkeypatch):
    monkeypatch.setattr("spacy_seqgen.vectors._BLOCK", 32)  # so it takes several blocks
    words = np.array(["the", "cat", "bïrd", "x"])
    vectors = np.array([THE, CAT, [1, 2, 3], [4, 4, 4]], dtype=dtype)
    save(tmp_path / "v.npz", words=words, vectors=vectors)
    found = read(tmp_path / "v.npz", ["x", "the", "bïrd"])
    assert found == {"the": THE, "bïrd": [1, 2, 3], "x": [4, 4, 4]}


def test_a_word_is_looked_up_as_it_is_then_in_lower_case(tmp_path):
    words = [None, "The", "Dog", "dog", "DOG", "bird"]
    rows, vectors = find_vectors(write(tmp_path / "v"), words, 3, spacy.blank("en").vocab)
    assert rows.tolist() == [1, 2, 3, 4]
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [THE, [3, 3, 3], [4, 4, 4], [4, 4, 4]]


def test_vectors_of_the_vocab():
    vocab = spacy.blank("en").vocab
    with pytest.raises(OptionError, match="spacy init vectors"):
        find_vectors("vocab", ["the"], 3, vocab)
    vocab.set_vector("the", np.array(THE, dtype="f"))
    vocab.set_vector("none", np.zeros(3, dtype="f"))
    rows, vectors = find_vectors("vocab", ["The", "bird", "none"], 3, vocab)
    assert (rows.tolist(), vectors.tolist()) == ([0], [THE])
    with pytest.raises(OptionError, match=r"nlp\.vocab have 3 values each.* 4\."):
        find_vectors("vocab", ["the"], 4, vocab)


def test_floret_vectors_of_the_vocab():
    from spacy.vectors import Vectors

    vocab = spacy.blank("en").vocab
    data = np.arange(12, dtype="f").reshape(4, 3)
    vocab.vectors = Vectors(
        strings=vocab.strings, data=data, mode="floret", minn=2, maxn=3, hash_count=1
    )
    rows, vectors = find_vectors("vocab", ["bird", None, "cat"], 3, vocab)
    assert rows.tolist() == [0, 2]
    np.testing.assert_allclose(vectors[0], vocab.vectors["bird"])


@pytest.mark.parametrize("header", [[], ["6 3"]], ids=["no header", "header"])
def test_wrong_width(tmp_path, header):
    path = write(tmp_path / "v.txt", header + LINES)
    with pytest.raises(
        OptionError, match=rf"{path} have 3 values.*model 8\. Set embedding_size.*3"
    ):
        read(path, width=8)


@pytest.mark.parametrize(
    "line,message",
    [
        ("cat 1 2", "line 2: expected a word and 3 values"),
        ("cat 1 2 3 4", "line 2: expected a word and 3 values"),
        ("cat\t1\t2\t3", "line 2: expected a word and 3 values"),
        ("cat 1 x 3", "line 2: could not convert"),
        ("cat 1  3", "line 2: could not convert"),
        ("cat 1 nan 3", "line 2: not all values of 'cat' are finite"),
        ("cat 1 -inf 3", "line 2: not all values of 'cat' are finite"),
        ("cat 1 1e99 3", "line 2: not all values of 'cat' are finite"),
    ],
)
def test_malformed_lines(tmp_path, line, message):
    path = write(tmp_path / "v.txt", [LINES[0], line])
    with pytest.raises(TextFileError, match=message):
        read(path)


def test_what_is_no_vectors_file(tmp_path):
    path = tmp_path / "v"
    with pytest.raises(TextFileError, match="There is no file with vectors"):
        read(path)
    path.write_bytes(b"PK\x03\x04...")
    with pytest.raises(TextFileError, match="unpack it"):
        read(path)
    path.write_bytes(b"a 1 2\xff 3")
    with pytest.raises(TextFileError, match="not valid UTF-8"):
        read(path)
    path.write_bytes(b"one\ntwo\n")
    with pytest.raises(TextFileError, match="line 1: expected"):
        read(path)
    with pytest.raises(TextFileError, match="not a complete gzip file"):
        cut = write(tmp_path / "v.gz", LINES * 99)
        cut.write_bytes(cut.read_bytes()[:60])
        read(cut)


def test_a_file_that_ends_too_early_is_reported(tmp_path, capsys):
    assert len(read(write(tmp_path / "v", ["9 3", *LINES]))) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "should hold 9 vectors, but ends after 6" in shown
    read(write(tmp_path / "v", ["6 3", *LINES]))
    assert "should hold" not in capsys.readouterr().out


WORDS, VECTORS = np.array(["a", "b"]), np.ones((2, 3), dtype="f")


@pytest.mark.parametrize(
    "arrays,message",
    [
        ({"words": WORDS}, "vectors.npy"),
        ({"words": np.array(["a", 1], dtype=object), "vectors": VECTORS}, "objects are not read"),
        ({"words": WORDS, "vectors": VECTORS.astype(int)}, "not float"),
        ({"words": WORDS[:1], "vectors": VECTORS}, "shape"),
        ({"words": WORDS, "vectors": VECTORS[0]}, "shape"),
        ({"words": WORDS, "vectors": np.asfortranarray(VECTORS)}, "by columns"),
        ({"words": WORDS, "vectors": VECTORS * np.nan}, "row 0: not all values of 'a'"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    path = tmp_path / "v.npz"
    np.savez(path, **arrays)
    with pytest.raises(TextFileError, match=message):
        read(path, ["a", "b"])


def test_damaged_npz(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, words=WORDS, vectors=VECTORS)
    data = path.read_bytes()
    with pytest.raises(OptionError, match="have 3 values each"):
        read(path, ["a"], width=4)
    for bad in (
        b"",
        data[:-30],
        data.replace(b"NUMPY", b"NUMPI"),
        data.replace(b"(2, 3)", b"(9, 3)"),
    ):
        path.write_bytes(bad)
        with pytest.raises(TextFileError, match=r"is not an \.npz file"):
            read(path, ["a"])


def test_no_word_has_a_vector(tmp_path):
    with pytest.raises(OptionError, match=r"No symbol has a vector.*'chat'"):
        find_vectors(write(tmp_path / "v"), [None, "chat"], 3, spacy.blank("en").vocab)
