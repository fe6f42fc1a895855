import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_seqgen import textfiles
from spacy_seqgen.textfiles import (
    TextFileError,
    count_length,
    find_text_files,
    read_blocks,
    read_lines,
    read_range,
)


def read(path):
    return "".join(read_blocks(path))


def test_finding_files(tmp_path):
    for name in ("b.txt", "a.txt", "deep/c.txt.gz", "deep/x.bin"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    names = [p.name for p in find_text_files(tmp_path)]
    assert names == ["a.txt", "b.txt", "c.txt.gz"]
    assert [p.name for p in find_text_files(f"{tmp_path}/*.txt")] == ["a.txt", "b.txt"]
    assert [p.name for p in find_text_files(f"{tmp_path}/**/*.gz")] == ["c.txt.gz"]
    assert find_text_files(tmp_path / "deep" / "x.bin") == [tmp_path / "deep" / "x.bin"]
    assert len(find_text_files([tmp_path / "a.txt", str(tmp_path / "b.txt")])) == 2


@pytest.mark.parametrize("name", ["nothing.txt", "*.nothing", "empty"])
def test_no_file_names_the_path(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=name.replace("*", r"\*")):
        find_text_files(f"{tmp_path}/{name}")


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
def test_blocks_may_cut_anywhere(tmp_path, monkeypatch, block):
    text = "é\r\nb\rc\n\U0001f600\r\n"
    (tmp_path / "a.txt").write_bytes(text.encode("utf8"))
    monkeypatch.setattr(textfiles, "_BLOCK", block)
    assert read(tmp_path / "a.txt") == "é\nb\nc\n\U0001f600\n"


def test_gzip_and_byte_order_mark(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("\ufeffhé".encode()))
    assert read(path) == "hé"


@pytest.mark.parametrize("block", [1, 4, 1 << 20])
@pytest.mark.parametrize("before", ["", "abc", "é€", "a\né\n"])
def test_invalid_utf8_names_file_and_offset(tmp_path, monkeypatch, block, before):
    monkeypatch.setattr(textfiles, "_BLOCK", block)
    path = tmp_path / "bad.txt"
    path.write_bytes(before.encode() + b"\xe9\x41 and more")
    offset, line = len(before.encode()), before.count("\n") + 1
    with pytest.raises(ValueError, match=rf"bad\.txt.*0xe9 at offset {offset}, line {line} "):
        read(path)


def test_text_cut_inside_a_character(tmp_path):
    path = tmp_path / "cut.txt"
    path.write_bytes("ab€".encode()[:-1])
    with pytest.raises(ValueError, match="offset 2, line 1 "):
        read(path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"no gzip at all")
    with pytest.raises(ValueError, match=r"a\.txt\.gz is not a complete gzip"):
        read(path)
    path.write_bytes(gzip.compress(b"hello" * 1000)[:-9])
    with pytest.raises(ValueError, match="complete gzip"):
        read(path)


@settings(max_examples=50)
@given(
    st.text(max_size=60).map(lambda t: t.replace("\r", "")), st.integers(0, 70), st.integers(0, 70)
)
def test_ranges(tmp_path_factory, text, start, stop):
    path = tmp_path_factory.mktemp("range") / "a.txt"
    path.write_bytes(text.encode("utf8"))
    text = text.removeprefix("\ufeff")
    assert count_length(path) == len(text)
    assert "".join(read_range(path, start, stop)) == text[start:stop]
    assert "".join(read_range(path, start, None)) == text[start:]


def test_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "a.txt.gz"
    data = bytearray(gzip.compress(b"To be, or not to be" * 100))
    data[20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.txt\.gz is not a complete gzip file"):
        list(read_blocks(path))


def test_utf_16_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("été", encoding="utf-16")
    with pytest.raises(TextFileError, match=r"UTF-16, not UTF-8.*iconv -f utf-16"):
        list(read_lines(path))


def test_what_is_right_comes_before_the_fault(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes("é one\ntwo\nthr\udc80ee\nfour\n".encode("utf8", "surrogateescape"))
    lines = textfiles.read_lines(path)
    assert [next(lines), next(lines)] == ["é one", "two"]
    with pytest.raises(ValueError, match="0x80 at offset 14, line 3"):
        next(lines)
