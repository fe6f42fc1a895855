import json

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_seqgen.caption_scores import cider_d, find_words, is_right, rouge_l
from spacy_seqgen.image_captions import create_image_captions_reader
from spacy_seqgen.pictures import find_picture
from spacy_seqgen.scorers import CAPTION_SCORES, score_captions
from spacy_seqgen.textfiles import TextFileError

CAPTIONS = {"a.png": ["a cat", "the cat"], "b c.jpg": ["a dog"], "ü.png": ["a bird", "a bird"]}


@pytest.fixture
def folder(tmp_path):
    for name in CAPTIONS:
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    return tmp_path


def read(path, **settings):
    nlp = spacy.blank("en")
    found = {}
    for example in create_image_captions_reader(path, **settings)(nlp):
        assert example.predicted.text == example.reference.text
        name = example.reference.text.rpartition("/")[2]
        found[name] = [caption.text for caption in example.reference._.captions]
    return found


EXPECTED = {**CAPTIONS, "ü.png": ["a bird"]}  # the same caption once


def write_jsonl(folder):
    rows = [json.dumps({"image": name, "captions": texts}) for name, texts in CAPTIONS.items()]
    path = folder / "captions.jsonl"
    path.write_text("\n".join(rows))
    return path


def write_flickr(folder):
    lines = [
        f"{name}#{n}\t{text}" for name, texts in CAPTIONS.items() for n, text in enumerate(texts)
    ]
    path = folder / "Flickr8k.token.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return path


def write_coco(folder):
    images = [{"id": n, "file_name": name} for n, name in enumerate(CAPTIONS)]
    annotations = [
        {"image_id": n, "id": 10 * n + k, "caption": text}
        for n, texts in enumerate(CAPTIONS.values())
        for k, text in enumerate(texts)
    ]
    path = folder / "captions_val.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def write_sidecars(folder):
    for name, texts in CAPTIONS.items():
        (folder / name).with_suffix(".txt").write_text("\n".join(texts))
    return folder


@pytest.mark.parametrize("write", [write_jsonl, write_flickr, write_coco, write_sidecars])
def test_formats(folder, write):
    path = write(folder)
    assert read(path) == EXPECTED
    assert len(read(path, limit=2)) == 2
    assert read(path, shuffle_buffer=3) == EXPECTED
    names = folder / "names.list"
    names.write_text("ü.png\na.png\n", encoding="utf8")
    assert set(read(path, split=names)) == {"a.png", "ü.png"}


def test_pictures_elsewhere(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    path = write_flickr(other)
    assert read(path, image_dir=folder) == EXPECTED
    with pytest.raises(TextFileError, match="3 with no picture"):
        read(path)


def test_what_is_incomplete_is_left_out(folder, caplog):
    path = folder / "some.jsonl"
    rows = [
        {"image": "a.png", "captions": ["a cat"]},
        {"image": "gone.png", "captions": ["a ghost"]},
        {"image": "b c.jpg", "captions": []},
        {"image": "ü.png", "caption": "one"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    caplog.set_level("WARNING", logger="spacy")
    assert read(path) == {"a.png": ["a cat"], "ü.png": ["one"]}
    assert "1 with no picture" in caplog.text and "gone.png" in caplog.text
    assert "1 with no caption" in caplog.text and "b c.jpg" in caplog.text


def test_pictures_outside_of_image_dir_are_left_out(folder, caplog):
    inside = folder / "photos"
    inside.mkdir()
    Image.new("RGB", (2, 2)).save(inside / "in.png")
    (inside / "link.png").symlink_to(folder / "a.png")
    names = ["in.png", "../a.png", str(folder / "a.png"), "link.png", "x" * 5000, "\ud800.png"]
    path = folder / "t.jsonl"
    path.write_text("\n".join(json.dumps({"image": n, "caption": "it"}) for n in names))
    caplog.set_level("WARNING", logger="spacy")
    assert read(path, image_dir=inside) == {"in.png": ["it"]}
    assert "3 with a picture outside of image_dir" in caplog.text
    assert "2 with a picture that can't be read" in caplog.text


def test_docs_of_a_split_and_a_folder(folder):
    """As they were converted: with absolute paths, or with pictures of their own."""
    nlp = spacy.blank("en")
    docs = [eg.reference for eg in create_image_captions_reader(write_jsonl(folder))(nlp)]
    held = nlp.make_doc("in memory")
    held._.image, held._.caption = np.zeros((2, 2, 3), dtype=np.uint8), "black"
    path, split = folder / "t.spacy", folder / "split.txt"
    DocBin(docs=[*docs, held], store_user_data=True).to_disk(path)
    split.write_text("a.png\nin memory\n")
    assert set(read(path, split=split)) == {"a.png", "in memory"}
    assert set(read(path, image_dir=folder)) == {*CAPTIONS, "in memory"}
    inside = folder / "photos"
    inside.mkdir()
    assert set(read(path, image_dir=inside)) == {"in memory"}


def test_paths_do_not_depend_on_where_the_program_runs(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    path = write_jsonl(folder).relative_to(folder.parent)
    for settings in ({}, {"image_dir": folder.name}):
        reader = create_image_captions_reader(path, **settings)
        texts = [example.reference.text for example in reader(spacy.blank("en"))]
        assert texts == [str(folder / name) for name in CAPTIONS]
        for text in texts:  # as a captioner finds it that has an image_dir
            assert find_picture(text, folder.name).name == text


def test_null_is_no_caption(folder):
    path = folder / "some.jsonl"
    path.write_text(
        '{"image": "a.png", "caption": null}\n{"image": "ü.png", "captions": ["one"]}', "utf8"
    )
    assert read(path) == {"ü.png": ["one"]}
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "ü.png"}]
    captions = [{"image_id": 1, "caption": None}, {"image_id": 2, "caption": "one"}]
    path = folder / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": captions}))
    assert read(path) == {"ü.png": ["one"]}


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("x.jsonl", '{"captions": []}', 'line 1 has no "image"'),
        ("x.jsonl", "{", "not JSON"),
        ("x.jsonl", '{"image": "a.png", "captions": [1]}', "list of strings"),
        ("x.json", "[]", "COCO"),
        ("x.json", '{"images": [{"id": 1}]}', "COCO"),
        ("x.txt", "a.png a cat", "no tab"),
        ("x.txt", "", "no picture with a caption"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(TextFileError, match=message):
        read(tmp_path / name)


def test_no_file(tmp_path):
    with pytest.raises(TextFileError, match="no path"):
        read(None)
    with pytest.raises(TextFileError, match="There is no file"):
        read(tmp_path / "gone.jsonl")


TEXTS = [
    "a man riding a horse on the beach",
    "two dogs play in the snow",
    "a red bus",
    "a cat sits on a mat near a window with a cat",
]
REFERENCES = [
    ["a man rides a horse along the beach", "a person on a horse by the sea",
     "a man riding a brown horse on the sand"],
    ["two dogs are playing in the snow", "dogs run in snow"],
    ["a red bus on a street", "a bus drives down the road"],
    ["a cat on a mat", "the cat sits near the window"],
]  # fmt: skip


def test_measures_are_those_of_coco():
    """What pycocoevalcap 1.2 computes for the same."""
    words = [find_words(text) for text in TEXTS]
    gold = [[find_words(text) for text in several] for several in REFERENCES]
    expected = [2.93485726, 2.64435406, 2.62563297, 1.21489041]
    assert cider_d(words, gold) == pytest.approx(expected)
    expected = [0.8148855, 0.78205128, 0.62886598, 0.63541667]
    assert [rouge_l(*pair) for pair in zip(words, gold, strict=True)] == pytest.approx(expected)


def test_measures_of_nothing():
    assert rouge_l([], [["a"]]) == 0.0
    assert cider_d([[]], [[["a"]]]) == [0.0]


def examples(texts, references):
    nlp = spacy.blank("en")
    for number, (text, gold) in enumerate(zip(texts, references, strict=True)):
        one, two = nlp.make_doc(f"{number}.png"), nlp.make_doc(f"{number}.png")
        if text is not None:
            one._.caption = text
        two._.captions = gold
        yield Example(one, two)


def test_scores():
    scores = score_captions(examples(TEXTS, REFERENCES))
    assert scores["cider_d"] == pytest.approx(2.35493367)
    assert scores["rouge_l"] == pytest.approx(0.71530486)
    assert scores["bleu_1"] > scores["bleu_2"] > scores["bleu_3"] > scores["bleu_4"] > 0
    assert scores["caption_exact_match"] == 0.0
    perfect = score_captions(examples([gold[-1] for gold in REFERENCES], REFERENCES))
    for name in ("bleu_1", "bleu_4", "caption_chrf", "rouge_l", "caption_exact_match"):
        assert perfect[name] == pytest.approx(1.0), name


def test_case_does_not_matter():
    gold = [["A Man on a Beach"], ["Straße", "street"]]
    scores = score_captions(examples(["a man on a beach ", "STRASSE"], gold))
    assert scores["caption_exact_match"] == 1.0
    scores = score_captions(examples(["a man on a beach", "Street"], gold))
    assert scores["caption_chrf"] == scores["caption_exact_match"] == 1.0
    assert not is_right("a", []) and not is_right("a", ["b", ""])


def test_scores_of_missing_captions():
    assert score_captions(examples([None], [["a cat"]]))["caption_exact_match"] == 0.0
    assert score_captions(examples(["a"], [[]])) == dict.fromkeys(CAPTION_SCORES)


def test_half_a_surrogate_pair_is_named(folder):
    path = folder / "captions.jsonl"
    path.write_text('{"image": "a.png", "captions": ["a \\ud800 cat"]}')
    with pytest.raises(TextFileError, match=r"a\.png.*half a surrogate pair"):
        read(path)
