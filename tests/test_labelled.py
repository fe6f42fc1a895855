import csv
import gzip
import json
import logging

import pytest
import spacy
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_seqgen import labelled
from spacy_seqgen.cli import app
from spacy_seqgen.labelled import create_text_classification_reader, read_labelled
from spacy_seqgen.textfiles import TextFileError

NLP = spacy.blank("en")


def read(path, **settings):
    reader = create_text_classification_reader(path, **settings)
    return [(eg.text, eg.reference.cats) for eg in reader(NLP)]


EXPECTED = [("Good, really", {"pos": 1.0, "so so": 0.0}), ("Na ja", {"pos": 0.0, "so so": 1.0})]


def write(path, text):
    path.write_text(text, encoding="utf8")
    return path


@pytest.mark.parametrize(
    "name,text",
    [
        ("a.tsv", "Good, really\tpos\n\nNa ja\tso so\n"),
        ("a.csv", 'label,id,text\npos,1,"Good, really"\nso so,2,Na ja\n'),
        (
            "a.jsonl",
            '{"text": "Good, really", "label": "pos"}\n{"text": "Na ja", "labels": ["so so"]}\n',
        ),
        (
            "b.jsonl",
            '{"text": "Good, really", "cats": {"pos": 1, "so so": 0}}\n'
            '{"text": "Na ja", "cats": {"so so": 1.0}}\n',
        ),
    ],
)
def test_formats(tmp_path, name, text):
    assert read(write(tmp_path / name, text)) == EXPECTED
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    assert read(tmp_path / f"{name}.gz") == EXPECTED


def test_label_text(tmp_path):
    path = write(tmp_path / "stsa.binary.train", "1 a good film\n0 bad\n")
    with pytest.raises(TextFileError, match="does not tell its format: set format to one of"):
        read(path)
    assert read(path, format="label_text") == [
        ("a good film", {"1": 1.0, "0": 0.0}),
        ("bad", {"1": 0.0, "0": 1.0}),
    ]


def test_folders(tmp_path):
    for label, text in (("pos", "Good, really\n"), ("so so", "Na ja")):
        (tmp_path / label).mkdir()
        write(tmp_path / label / "1.txt", text)
    assert read(tmp_path) == EXPECTED
    with pytest.raises(TextFileError, match="is no folder with a folder for each class"):
        read(tmp_path / "pos")


def test_what_is_wrong_is_shown(tmp_path, caplog):
    train = write(tmp_path / "train.tsv", "a film\tpos\nbad\tneg\nbad\tneg\n\tneg\n")
    dev = write(tmp_path / "dev.tsv", "a  film\tpos\nother\tnég ative\n")
    logger = logging.getLogger("spacy")
    logger.addHandler(caplog.handler)
    try:
        assert len(read(train)) == 3
        assert len(read(dev, compare_with=train)) == 2
    finally:
        logger.removeHandler(caplog.handler)
    shown = caplog.text
    assert "Empty texts" in shown and "left out: 1" in shown
    assert "that come again: 1" in shown
    assert f"that are in {train} too: 1" in shown


def test_labels_and_limit(tmp_path):
    path = write(tmp_path / "a.tsv", "a film\tpos\nbad\tneg\nworse\tneg\n")
    assert [cats for _, cats in read(path, labels=["x", "neg", "pos"], limit=2)] == [
        {"x": 0.0, "neg": 0.0, "pos": 1.0},
        {"x": 0.0, "neg": 1.0, "pos": 0.0},
    ]
    with pytest.raises(TextFileError, match="line 2 has a label that is not in labels"):
        read(path, labels=["pos"])


@pytest.mark.parametrize(
    "name,text,message",
    [
        ("a.tsv", "no label\n", "line 1 is not 'text TAB label'"),
        ("a.tsv", "a\t\n", "line 1 is not 'text TAB label'"),
        ("a.tsv", "\n", "There is no text"),
        ("a.csv", "a,b\n1,2\n", 'needs a first line with "text" and "label"'),
        ("a.csv", "text,label\nonly text\n", "line 2 has no text or no label"),
        ("a.jsonl", "{", "line 1 is not JSON"),
        ("a.jsonl", '{"label": "a"}', 'line 1 has no "text"'),
        ("a.jsonl", '{"text": "a"}', 'needs "label"'),
        ("a.jsonl", '{"text": "a", "cats": {"b": 7}}', "values from 0 to 1"),
    ],
)
def test_lines_that_are_not_right(tmp_path, name, text, message):
    with pytest.raises(TextFileError, match=message):
        read(write(tmp_path / name, text))


def test_settings_out_of_range(tmp_path):
    for wrong in ({"format": "xml"}, {"limit": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            create_text_classification_reader(tmp_path, **wrong)
    with pytest.raises(TextFileError, match="has no path"):
        create_text_classification_reader(None)


def test_convert(tmp_path):
    path = write(tmp_path / "a.tsv", "Good, really\tpos\nNa ja\tso so\n")
    output = tmp_path / "out" / "a.spacy"
    command = ["convert", str(path), str(output), "--task", "textcat", "--lang", "de"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "50.0%" in done.output and "Wrote 2 texts" in done.output
    docs = list(DocBin().from_disk(output).get_docs(spacy.blank("de").vocab))
    assert [(doc.text, doc.cats) for doc in docs] == EXPECTED
    classes = ["--task", "textcat"]
    for wrong in (["--task", "other"], [*classes, "-f", "csv"], [*classes, "--max-length", "3"]):
        assert CliRunner().invoke(app, [*command[:3], *wrong]).exit_code == 1


def test_long_numbers_are_labels(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "a", "label": 3}))
    assert [item.cats for item in read_labelled(path)] == [{"3": 1.0}]


def test_long_fields_of_csv(tmp_path, monkeypatch):
    """Longer ones than Python's csv module takes by itself, with a limit all the same."""
    before = csv.field_size_limit()
    long = "good " * 40_000 + "film"
    file = write(tmp_path / "a.csv", f"text,label\n{long},pos\nbad,neg\n")
    assert [item.text for item in read_labelled(file)] == [long, "bad"]
    assert csv.field_size_limit() == before
    monkeypatch.setattr(labelled, "_MAX_FIELD", before)
    for text in (f"text,label\n{long},pos\n", f'text,label\n"never closed,pos\n{long},neg\n'):
        with pytest.raises(TextFileError, match=r"a\.csv, line [23] is not CSV: .*closing quote"):
            list(read_labelled(write(tmp_path / "a.csv", text)))
    assert csv.field_size_limit() == before


def test_labels_that_the_classifier_does_not_know(tmp_path, caplog):
    caplog.set_level("WARNING", logger="spacy")
    nlp = spacy.blank("en")
    for label in ("pos", "neg"):
        nlp.add_pipe("textcat", name=f"no labels {label}")
    nlp.add_pipe("textcat_multilabel", name="classes").add_label("pos")
    reader = create_text_classification_reader(write(tmp_path / "a.tsv", "a\tpos\nb\tNEG\n"))
    assert len(list(reader(nlp))) == len(list(reader(nlp))) == 2
    (found,) = caplog.messages
    assert "'classes' does not know" in found and "['NEG']" in found and "['pos']" in found


def test_nearly_as_many_labels_as_texts(tmp_path, caplog):
    caplog.set_level("WARNING", logger="spacy")
    lines = [f"text {n}\tlabel {n % 20}" for n in range(39)]
    read(write(tmp_path / "a.tsv", "\n".join(lines)))
    assert "nearly as many labels (20) as texts (39)" in caplog.text
    caplog.clear()
    read(write(tmp_path / "b.tsv", "\n".join([*lines, "one more\tlabel 0"])))
    assert not caplog.messages


def test_a_limit_takes_texts_of_all_folders(tmp_path):
    for label, count in (("neg", 5), ("pos", 2), ("so so", 3)):
        (tmp_path / label).mkdir()
        for n in range(count):
            write(tmp_path / label / f"{n}.txt", f"{label} {n}")
    texts = [text for text, _ in read(tmp_path, limit=6)]
    assert texts == ["neg 0", "pos 0", "so so 0", "neg 1", "pos 1", "so so 1"]
    assert len(read(tmp_path)) == 10
