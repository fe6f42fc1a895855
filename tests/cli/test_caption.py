import json
import re
import shutil
import subprocess
import sys

import pytest
import spacy
import srsly

from spacy_seqgen.caption_scores import is_right
from spacy_seqgen.report import captions
from spacy_seqgen.report.blocks import Marked, Text
from spacy_seqgen.report.inputs import Inputs

from ..pipeline.test_captioner import make_nlp, make_pictures
from .test_translate import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that has learned next to nothing, and some pictures."""
    folder = tmp_path_factory.mktemp("caption")
    captions = make_pictures(folder / "pictures")
    make_nlp(captions, steps=2, generation={"min_length": 2, "max_length": 6}).to_disk(
        folder / "model"
    )
    rows = [json.dumps({"image": path, "captions": texts}) for path, texts in captions.items()]
    (folder / "captions.jsonl").write_text("\n".join(rows[:3]))
    return folder


def test_lines(folder):
    picture = folder / "pictures" / "red-blue.png"
    path, caption = run("caption", folder / "model", picture).strip().split("\t")
    assert path == str(picture) and caption
    assert len(run("caption", folder / "model", folder / "pictures").splitlines()) == 16
    assert len(run("caption", folder / "model", picture, "-n", "2").splitlines()) == 2


def test_rows(folder, tmp_path):
    output = tmp_path / "new" / "out.jsonl"
    run("caption", folder / "model", folder / "captions.jsonl", "--limit", "2", "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 2
    for row in rows:
        assert row["right"] == is_right(row["caption"], row["captions"])
        assert row["meta"]["candidates"][0]["text"] == row["caption"]


def test_true_captions_of_each_line_and_of_a_folder(folder, tmp_path):
    path = str(folder / "pictures" / "red-blue.png")
    rows = [json.dumps({"image": path, "captions": [text]}) for text in ("one", "two")]
    (tmp_path / "twice.jsonl").write_text("\n".join(rows))
    output = tmp_path / "out.jsonl"
    run("caption", folder / "model", tmp_path / "twice.jsonl", "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["captions"] for row in rows] == [["one"], ["two"]]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(path, pictures / name)
    (pictures / "a.txt").write_text("a sidecar\n\n")
    run("caption", folder / "model", pictures, "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row.get("captions") for row in rows] == [["a sidecar"], None]


def test_report_without_what_is_damaged(folder, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(folder / "pictures", pictures)
    (pictures / "green-red.png").write_bytes(b"no picture")
    rows = [
        json.dumps({"image": str(pictures / f"{name}.png"), "caption": name})
        for name in ("red-blue", "green-red", "red-red")
    ]
    (tmp_path / "dev.jsonl").write_text("\n".join(rows))
    nlp = spacy.load(folder / "model")
    corpus = {"@readers": "spacy-seqgen.image_captions.v1", "path": str(tmp_path / "dev.jsonl")}
    nlp.config = nlp.config.merge({"corpora": {"dev": corpus}})
    (tmp_path / "run").mkdir()
    nlp.to_disk(tmp_path / "run" / "model-best")
    blocks = captions.build(Inputs(tmp_path / "run", tmp_path / "metrics"))
    texts = [block.text for block in blocks if isinstance(block, Text)]
    assert "green-red.png" in texts[0] and "Left out" in texts[0]
    sheet = next(block for block in blocks if isinstance(block, Marked))
    assert sheet.html.count("<img ") == 2 and "of 2 captions" in sheet.html


def test_contact_sheet(folder, tmp_path):
    output = tmp_path / "sheet.html"
    run("caption", folder / "model", folder / "captions.jsonl", "-o", output)
    page = output.read_text()
    assert page.count("<img ") == 3 and "of 3 captions are right" in page
    run("caption", folder / "model", folder / "captions.jsonl", "-a", "-o", output)
    assert output.read_text().count("<img ") > 3


def test_contact_sheet_of_the_others(folder, tmp_path):
    output = tmp_path / "sheet.html"
    shown = run(
        "caption", folder / "model", "gone.png", folder / "captions.jsonl", "-o", output, code=1
    )
    assert "gone.png" in shown and output.read_text().count("<img ") == 3


def test_figure(folder, tmp_path):
    output = tmp_path / "new" / "figure.png"
    run("caption", folder / "model", folder / "pictures", "-o", output)
    assert output.read_bytes().startswith(b"\x89PNG")


def test_the_figure_is_of_the_first_picture_that_can_be_read(folder, tmp_path):
    (tmp_path / "empty.png").touch()
    output, good = tmp_path / "figure.png", folder / "pictures" / "red-blue.png"
    shown = run("caption", folder / "model", tmp_path / "empty.png", good, "-o", output)
    assert "empty.png is empty" in shown and output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["sheet.html", "captions.jsonl"])
def test_of_nothing_there_is_no_output(folder, tmp_path, name):
    (tmp_path / "empty.png").touch()
    run("caption", folder / "model", tmp_path / "empty.png", "-o", tmp_path / name, code=1)
    assert not (tmp_path / name).exists()


def test_a_damaged_picture_is_a_wrong_caption(folder, tmp_path):
    good = folder / "pictures" / "red-blue.png"
    (tmp_path / "empty.png").touch()
    rows = [{"image": str(good), "captions": ["red left of blue"]}]
    srsly.write_jsonl(tmp_path / "one.jsonl", rows)
    rows.append({"image": "empty.png", "captions": ["red left of blue"]})
    srsly.write_jsonl(tmp_path / "both.jsonl", rows)
    found = []
    for name in ("one", "both"):
        shown = run("evaluate", folder / "model", tmp_path / f"{name}.jsonl")
        found.append(float(re.search(r"caption_exact_match +([\d.]+)", shown)[1]))
    assert found[1] == found[0] / 2


def test_an_empty_folder(folder, tmp_path):
    assert "no picture in the folder" in run("caption", folder / "model", tmp_path, code=1)


def test_what_went_wrong_is_not_among_the_captions(folder):
    arguments = ["seqgen", "caption", str(folder / "model"), "gone.png"]
    command = [sys.executable, "-m", "spacy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout and "gone.png" in done.stderr


def test_bad_pictures_are_named(folder):
    good = folder / "pictures" / "red-blue.png"
    shown = run("caption", folder / "model", "gone.png", good, folder / "captions.jsonl", code=1)
    assert "gone.png" in shown and "1 picture could not be captioned" in shown
    assert str(good) in shown  # the others are captioned


def test_other_kinds_of_output_are_refused(folder):
    assert ".jsonl" in run("caption", folder / "model", "a.png", "-o", "x.gif", code=1)


def test_evaluate(folder, tmp_path):
    shown = run("evaluate", folder / "model", folder / "captions.jsonl")
    assert "cider_d" in shown
    names = tmp_path / "names.txt"
    names.write_text(str(folder / "pictures" / "red-blue.png"))
    arguments = ("--split", names, "--image-dir", folder / "pictures")
    shown = run("evaluate", folder / "model", folder / "captions.jsonl", *arguments)
    assert "bleu_4" in shown


def test_a_captioner_with_a_folder_of_pictures(folder, tmp_path, monkeypatch):
    """Files are where the user says, or in image_dir; outside of it they are refused."""
    setting = {"components.image_captioner.image_dir": str(folder / "pictures")}
    spacy.load(folder / "model", config=setting).to_disk(tmp_path / "model")
    monkeypatch.chdir(folder)
    for given in ("pictures/red-blue.png", "red-blue.png"):
        assert run("caption", tmp_path / "model", given).partition("\t")[0].endswith(given)
    assert len(run("caption", tmp_path / "model", "pictures").splitlines()) == 16
    shutil.copy("pictures/red-blue.png", tmp_path)
    assert "outside of image_dir" in run(
        "caption", tmp_path / "model", tmp_path / "red-blue.png", code=1
    )
