import gzip
import json
from itertools import islice

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_seqgen.batchers import create_padded_pairs_batcher
from spacy_seqgen.parallel import create_parallel_reader, read_pairs
from spacy_seqgen.textfiles import TextFileError
from spacy_seqgen.translations import get_symbol_counts


def read(path, target_path=None, **settings):
    examples = create_parallel_reader(str(path), target_path, **settings)(spacy.blank("en"))
    return [(eg.reference.text, eg.reference._.translation) for eg in examples]


def test_columns(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes("\ufeffGo.\tVa !\r\nHi.\tSalut !\tCC-BY\r\n\r\n".encode())
    assert read(path) == [("Go.", "Va !"), ("Hi.", "Salut !")]


def test_json_lines_and_gzip(tmp_path):
    rows = [{"text": "Go.", "translation": "Va !", "meta": {"id": 1}}]
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    assert read(path) == [("Go.", "Va !")]


def test_meta_goes_with_the_pair(tmp_path):
    path, meta = tmp_path / "pairs.jsonl", {"id": 7, "from": {"page": 3}}
    rows = [
        {"text": "Go.", "translation": "Va !", "meta": meta},
        {"text": "Hi.", "translation": "Salut !"},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    nlp = spacy.blank("en")
    one, two = create_parallel_reader(str(path))(nlp)
    assert one.reference.user_data["meta"] == meta
    assert "meta" not in one.predicted.user_data
    assert "meta" not in two.reference.user_data
    bin = DocBin(docs=[one.reference, two.reference], store_user_data=True)
    bin.to_disk(tmp_path / "pairs.spacy")
    again, _ = create_parallel_reader(str(tmp_path / "pairs.spacy"))(nlp)
    assert again.reference.user_data["meta"] == meta
    assert again.reference._.translation == "Va !"


def test_aligned_files(tmp_path):
    (tmp_path / "a.en").write_text("Go.\nHi.\n")
    (tmp_path / "a.fr").write_text("Va !\nSalut !\n")
    assert read(tmp_path / "a.en", tmp_path / "a.fr") == [("Go.", "Va !"), ("Hi.", "Salut !")]


def test_gold_is_on_the_reference_only(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("Go.\tVa !\n")
    (example,) = create_parallel_reader(str(path))(spacy.blank("en"))
    assert example.predicted._.translation is None
    assert example.predicted.text == example.reference.text


def test_misaligned_files(tmp_path):
    (tmp_path / "a.en").write_text("Go.\nHi.\n")
    (tmp_path / "a.fr").write_text("Va !\n")
    with pytest.raises(TextFileError, match=r"a\.fr ends before line 2"):
        read(tmp_path / "a.en", tmp_path / "a.fr")


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("pairs.tsv", "Go.\tVa !\nHi.\n", "line 2 has no tab"),
        ("pairs.jsonl", '{"text": "Go."}\n', 'line 1 has no "translation"'),
        ("pairs.jsonl", "Go.\n", "line 1 is not JSON"),
        ("pairs.jsonl", "[1]\n", 'line 1 has no "text"'),
        (
            "pairs.jsonl",
            '{"text": "a", "translation": "b", "meta": 3}\n',
            'line 1 has a "meta" that is no table',
        ),
        ("pairs.tsv", "\tVa !\n", "no pair of sentences.*empty side"),
        ("pairs.tsv", "", "no pair of sentences"),
    ],
)
def test_what_is_no_pair(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(TextFileError, match=message):
        read(tmp_path / name)


def test_bad_encoding_names_file_and_byte(tmp_path):
    (tmp_path / "pairs.tsv").write_bytes(b"Go.\tVa !\nd\xe9j\xe0\tx\n")
    with pytest.raises(TextFileError, match=r"pairs\.tsv.*0xe9 at offset 10"):
        read(tmp_path / "pairs.tsv")


def test_filters_say_what_they_left_out(tmp_path, caplog):
    path = tmp_path / "pairs.tsv"
    path.write_text("Go.\tVa !\n\tvide\nabcdefghijk\tx\nab\tabcdefgh\n")
    with caplog.at_level("INFO", logger="spacy"):
        assert read(path, max_length=10, max_ratio=3.0) == [("Go.", "Va !")]
    assert "1 with an empty side" in caplog.text
    assert "1 longer than 10 characters" in caplog.text
    assert "1 of which one side is 3 times" in caplog.text


def test_filters_of_a_stream_report_once(tmp_path, caplog):
    """spaCy shows a stream's first examples to the components, and lets the rest be."""
    path = tmp_path / "pairs.tsv"
    path.write_text("Go.\tVa !\n" * 5 + "\tvide\n")
    corpus, nlp = create_parallel_reader(str(path)), spacy.blank("en")
    with caplog.at_level("INFO", logger="spacy"):
        assert len(list(islice(corpus(nlp), 2))) == 2
        assert not caplog.text
        for _ in range(3):
            assert len(list(corpus(nlp))) == 5
    assert caplog.text.count("1 with an empty side; 5 kept") == 1


def test_limit_and_shuffling(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{i}\tn{i}\n" for i in range(50)))
    assert len(read(path, limit=7)) == 7
    mixed = read(path, shuffle_buffer=20)
    assert sorted(mixed) == sorted(read(path))
    assert mixed != read(path)
    assert mixed == read(path, shuffle_buffer=20)


@pytest.mark.parametrize(
    "settings", [{"max_length": -1}, {"limit": -1}, {"max_ratio": 0.5}, {"shuffle_buffer": -1}]
)
def test_bad_settings(settings, tmp_path):
    with pytest.raises(ValueError, match=next(iter(settings))):
        create_parallel_reader(str(tmp_path), **settings)


def test_no_path():
    with pytest.raises(TextFileError, match=r"--paths\.train"):
        create_parallel_reader(None)


def test_a_directory_of_pairs(tmp_path):
    (tmp_path / "b.tsv").write_text("Hi.\tSalut !\n")
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"Go.\tVa !\n"))
    assert [pair.target for pair in read_pairs(tmp_path)] == ["Va !", "Salut !"]


def test_symbols_are_counted_for_batches_of_similar_length(tmp_path):
    nlp = spacy.blank("en")
    words = {"@misc": "spacy-seqgen.Words.v1"}
    config = {"source_vocabulary": words, "target_vocabulary": words, "attention": False}
    nlp.add_pipe("translator", config=config)
    (tmp_path / "pairs.tsv").write_text("a\tb\na b c\tstraightforwardly\na b\td e f g\n")
    reader = create_parallel_reader(str(tmp_path / "pairs.tsv"))
    assert {get_symbol_counts(example.reference) for example in reader(nlp)} == {None}
    nlp.initialize(lambda: list(reader(nlp)))
    examples = list(reader(nlp))
    assert [get_symbol_counts(example.reference) for example in examples] == [
        (1, 1),
        (3, 1),
        (2, 4),
    ]
    batches = create_padded_pairs_batcher(size=1000)(examples)
    assert [eg.reference.text for eg in next(batches)] == ["a", "a b c", "a b"]


def test_filters_work_on_docs_too(tmp_path):
    nlp = spacy.blank("en")
    bin = DocBin(store_user_data=True)
    for source, target in [("Go.", "Va !"), ("A much longer one.", "Un autre."), ("No.", None)]:
        doc = nlp.make_doc(source)
        if target:
            doc._.translation = target
        bin.add(doc)
    bin.to_disk(tmp_path / "pairs.spacy")
    assert read(tmp_path / "pairs.spacy", max_length=10) == [("Go.", "Va !")]
    with pytest.raises(ValueError, match="target_path must be null"):
        read(tmp_path / "pairs.spacy", target_path=tmp_path / "other.txt")


def test_half_a_surrogate_pair_is_named(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "a", "translation": "b"}\n{"text": "\\ud800", "translation": "c"}\n')
    with pytest.raises(TextFileError, match="line 2 has half a surrogate pair"):
        read(path)


def test_docs_without_their_translations_say_why(tmp_path):
    nlp, path = spacy.blank("en"), tmp_path / "pairs.spacy"
    doc = nlp.make_doc("a cat")
    doc._.translation = "un chat"
    DocBin(docs=[doc]).to_disk(path)
    with pytest.raises(TextFileError, match="store_user_data=True"):
        list(create_parallel_reader(path)(nlp))
