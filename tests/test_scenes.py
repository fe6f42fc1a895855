"""The drawn scenes are what their captions say."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly

SCRIPTS = Path(__file__).parents[1] / "scripts"
if not SCRIPTS.exists():
    pytest.skip("the scripts are not beside these tests", allow_module_level=True)
sys.path.insert(0, str(SCRIPTS))

import make_emoji  # noqa: E402
import make_scenes  # noqa: E402
import score_attention  # noqa: E402
from scenes_words import COLORS, HELD_OUT, SHAPES, SIZES, find_groups  # noqa: E402

from .pipeline.test_captioner import make_nlp  # noqa: E402


@pytest.fixture(scope="module")
def scenes():
    return list(make_scenes.make_scenes(random.Random(0), 60, held_out=False, seen=set()))


def test_things_are_where_the_boxes_are(scenes):
    for image, row in scenes:
        pixels = np.asarray(image, dtype=int)
        paper = pixels[0, 0]
        outside = np.ones(pixels.shape[:2], dtype=bool)
        for item in row["objects"]:
            left, top, right, bottom = item["box"]
            outside[top - 1 : bottom + 2, left - 1 : right + 2] = False
            part = pixels[top:bottom, left:right].reshape(-1, 3)
            near = np.abs(part - COLORS[item["color"]]).max(1) <= 25
            assert near.mean() > 0.1, item
        assert np.abs(pixels[outside] - paper).max() < 12


def test_captions_say_where_things_are(scenes):
    for _, row in scenes:
        groups = [[o for o in row["objects"] if o["group"] == n] for n in (0, 1)]
        if not groups[1]:
            assert len(row["captions"]) == 1
            continue
        assert len(row["captions"]) == 2
        words = row["captions"][0].split()
        center = [np.mean([o["box"] for o in group], axis=0) for group in groups]
        across, down = (center[0] - center[1])[:2]
        relation = next(w for w in words if w in ("left", "right", "above", "below"))
        expected = {"left": across < 0, "right": across > 0, "above": down < 0, "below": down > 0}
        assert expected[relation]


def test_combinations_that_are_held_out(scenes):
    def kinds(row):
        return {(item["size"], item["color"], item["shape"]) for item in row["objects"]}

    # Each colour and each shape, with each size, is shown with all but one.
    assert len(HELD_OUT) == len(SIZES) * len(COLORS)
    assert len({kind[:2] for kind in HELD_OUT}) == len({kind[::2] for kind in HELD_OUT}) == 12
    assert len({kind[1:] for kind in HELD_OUT}) == 12  # in the other size it is shown
    assert not any(kinds(row) & HELD_OUT for _, row in scenes)
    others = make_scenes.make_scenes(random.Random(1), 20, held_out=True, seen=set())
    assert all(kinds(row) & HELD_OUT for _, row in others)


def test_words_name_groups(scenes):
    row = next(row for _, row in scenes if len(row["captions"]) == 2)
    for n, caption in enumerate(row["captions"]):
        words = caption.split()
        found = find_groups(words, caption, row["objects"])
        named = [group for group in found if group is not None]
        assert named[0] == n and named[-1] == 1 - n
        shapes = [g for w, g in zip(words, found, strict=True) if w.rstrip("es") in SHAPES]
        assert shapes == [n, 1 - n] or len(shapes) < 2  # crosses lose more than their ending


def test_parts_of_a_grid_inside_boxes():
    inside = score_attention.find_inside((4, 4), [[16, 0, 32, 16], [41, 41, 47, 47]])
    assert inside.sum() == 1 and inside[0, 1]


def test_no_scene_is_drawn_twice():
    """So that no picture to learn from is one of the test."""
    (_, row), *_ = make_scenes.make_scenes(random.Random(3), 1, held_out=False, seen=set())
    seen = set()
    for is_new in (True, False):  # with the same seed
        found = list(make_scenes.make_scenes(random.Random(3), 5, held_out=False, seen=seen))
        assert (row in [other for _, other in found]) == is_new


def test_the_same_seed_draws_the_same(tmp_path):
    for name in ("one", "two"):
        make_scenes.main(tmp_path / name, seed=3, train=3, others=2)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 3 + 3 * 2 + 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_attention_is_scored(tmp_path, monkeypatch):
    """With a captioner that is always right and looks at the first part of the grid."""
    from spacy_seqgen.captions import Caption
    from spacy_seqgen.pipeline.captioner import ImageCaptioner

    make_scenes.main(tmp_path / "scenes", train=1, others=4)
    rows = list(srsly.read_jsonl(tmp_path / "scenes" / "test.jsonl"))
    paths = [str(tmp_path / "scenes" / row["image"]) for row in rows]
    gold = {path: row["captions"] for path, row in zip(paths, rows, strict=True)}
    make_nlp(gold).to_disk(tmp_path / "model")

    def caption(self, docs, pictures):
        for doc in docs:
            words = tuple(gold[doc.text][0].split())
            weights = np.zeros((len(words), 1, 1), dtype=np.float16)
            yield [Caption(gold[doc.text][0], words, attention=weights)]

    monkeypatch.setattr(ImageCaptioner, "_caption", caption)
    score_attention.main(
        tmp_path / "model", tmp_path / "scenes" / "test.jsonl", tmp_path / "m.json"
    )
    score = srsly.read_json(tmp_path / "m.json")["attention_inside"]
    middle = score_attention.find_inside
    expected = [
        middle((1, 1), [o["box"] for o in row["objects"] if o["group"] == group])[0, 0]
        for row in rows
        for group in find_groups(row["captions"][0].split(), row["captions"][0], row["objects"])
        if group is not None
    ]
    assert score == pytest.approx(np.mean(expected))


def make_style(path, keys):
    import io
    import json
    import tarfile

    body = '<path d="M0 0h8v8h-8z" fill="#f00"/>'
    icons = {"width": 16, "height": 16, "icons": {f"name-{key}": {"body": body} for key in keys}}
    chars = {key: f"name-{key}" for key in keys}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("icons", icons), ("chars", chars)):
            content = json.dumps(data).encode()
            info = tarfile.TarInfo(f"package/{name}.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_emoji(tmp_path):
    """No drawing of the style that is held out is in train or dev, and none is in both."""
    pytest.importorskip("emoji")
    pytest.importorskip("resvg_py")
    cats = [f"{code:x}" for code in range(0x1F400, 0x1F420)]
    for file in make_emoji.STYLES.values():
        make_style(tmp_path / file, [*cats, "31-fe0f-20e3", "1f44d-1f3fd"])
    make_emoji.main(tmp_path, tmp_path / "out", held_out="noto", language="fr", size=16)
    rows = {
        n: list(srsly.read_jsonl(tmp_path / "out" / f"{n}.jsonl")) for n in ("train", "dev", "test")
    }
    images = {name: {row["image"] for row in part} for name, part in rows.items()}
    assert all("/noto/" in image for image in images["test"])
    assert not any("/noto/" in image for image in images["train"] | images["dev"])
    assert not images["train"] & images["dev"]
    assert len(images["test"]) == 32 and len(images["train"] | images["dev"]) == 96
    names = {row["image"].split("/")[2]: row["captions"] for row in rows["test"]}
    assert names["1f415-16.png"] == ["chien"]
    nlp = spacy.blank("en")
    from spacy_seqgen.image_captions import create_image_captions_reader

    assert len(list(create_image_captions_reader(tmp_path / "out" / "test.jsonl")(nlp))) == 32
