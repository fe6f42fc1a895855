import json

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_seqgen.image_captions import create_image_captions_reader
from spacy_seqgen.models.captioning import CaptionBatch
from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.models.translation import pad_targets
from spacy_seqgen.modules.seq2seq import Seq2Seq, Written
from spacy_seqgen.pictures import PictureSettings
from spacy_seqgen.pipeline.guiding import cover_grid, find_symbols, make_guide
from spacy_seqgen.regions import Region, Regions, get_regions, read_regions, set_regions
from spacy_seqgen.textfiles import TextFileError
from spacy_seqgen.vocabularies.characters import Characters
from spacy_seqgen.vocabularies.subwords import Subwords
from spacy_seqgen.vocabularies.words import Words

from .test_captioner import make_examples, make_nlp, make_pictures

TEXT = "a red dog left of a cat"
DOG = Region(2, 9, ((0, 0, 8, 8),))


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures") / "all")


@pytest.mark.parametrize("kind", [Words, Characters, Subwords])
def test_symbols_of_a_region(kind):
    vocabulary = kind()
    vocabulary.build(vocabulary.count([TEXT] * 5))
    starts = vocabulary.encode(TEXT).starts
    found = find_symbols(TEXT, starts, DOG)
    ends = [*starts[1:].tolist(), len(TEXT)]
    said = "".join(TEXT[starts[n] : ends[n]] for n in found)
    assert said.strip().replace(" ", "") == "reddog"


def test_parts_that_boxes_cover():
    found = cover_grid([(0, 0, 0.5, 0.25), (0.9, 0.9, 1.5, 2)], 2, 2)
    assert found.tolist() == pytest.approx([0.5, 0, 0, 0.04])
    assert cover_grid([(1.2, 0, 1.5, 1)], 2, 2).sum() == 0  # cut off
    assert cover_grid([(0, 0, 1, 0.6), (0, 0.2, 1, 1)], 1, 1)[0] == pytest.approx(0.8)


@given(
    st.sampled_from(["crop", "pad", "stretch"]),
    st.integers(40, 120), st.integers(40, 120), st.integers(0, 20), st.integers(0, 20),
)  # fmt: skip
def test_boxes_are_brought_to_size_as_pictures_are(fit, width, height, left, top):
    box = (left, top, left + 20, top + 15)
    image = Image.new("RGB", (width, height), "white")
    image.paste((0, 0, 0), box)
    settings = PictureSettings(size=32, fit=fit)
    dark = 1 - np.asarray(settings.to_size(image).convert("L")) / 255
    cover = cover_grid([settings.fit_box(box, (width, height))], 32, 32).reshape(32, 32)
    # Filters blur edges, and padding is by whole pixels.
    assert np.abs(dark - cover).sum() <= 1.2 * 2 * sum(dark.max(0) > 0.1) + 2 * dark.shape[0]
    assert np.abs(dark - cover).mean() < 0.08


def put_regions(examples, swapped):
    """Of "red left of blue": the halves; or each the other one."""
    for example in examples:
        text = example.reference._.caption
        halves = [(0, 0, 8, 16), (8, 0, 16, 16)]
        left, right = reversed(halves) if swapped else halves
        last = text.rindex(" ") + 1
        parts = [Region(0, text.index(" "), (left,)), Region(last, len(text), (right,))]
        set_regions(example.reference, Regions((16, 16), {text: parts}))


@pytest.mark.parametrize("swapped", [False, True])
def test_attention_learns_where_to_look(captions, swapped):
    nlp = make_nlp(captions, model={"guided_attention": 1.0, "label_smoothing": 0.0})
    examples = make_examples(nlp, captions)
    put_regions(examples, swapped)
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    right = total = 0
    for doc in nlp.pipe(captions):
        caption = doc._.captions[0]
        for token, is_right_half in ((0, swapped), (-1, not swapped)):
            half = np.split(caption.attention[token].astype(float), 2, axis=1)[int(is_right_half)]
            right += half.sum() > 0.5
            total += 1
    assert right >= 0.9 * total


def test_the_loss_of_a_guide(captions):
    """By hand; and without a weight regions change nothing."""
    losses = {}
    for weight in (0.0, 0.7):
        nlp = make_nlp(captions, model={"guided_attention": weight, "label_smoothing": 0.0})
        examples = make_examples(nlp, captions)
        pipe = nlp.get_pipe("image_captioner")
        plain = pipe.learn([eg.reference for eg in examples])
        put_regions(examples, swapped=False)
        losses[weight] = pipe.learn([eg.reference for eg in examples]) - plain
    assert losses[0.0] == 0
    docs = [eg.reference for eg in examples]
    encoded = [(doc, doc._.caption, pipe.vocabulary.encode(doc._.caption)) for doc in docs]
    guide = make_guide(encoded, pipe.pictures, *pipe._find_grid(np.zeros((1, 3, 16, 16), "u1")))
    assert guide.shape[:2] == (16, 5) and guide.any(-1).sum() == 32
    pictures = np.stack([picture for _, picture in pipe._read_for_training(docs)])
    batch = CaptionBatch(pictures, *pad_targets([item.ids for _, _, item in encoded]))
    net = get_shim(pipe.model).net
    state = net.eval().start(*batch.read(torch.device("cpu")))
    weights = net.look(state, torch.from_numpy(batch.inputs))
    found = (weights.detach().numpy() * guide).sum(-1)[guide.any(-1)]
    expected = -np.log(found).sum() / (batch.targets != 0).sum()
    assert losses[0.7] == pytest.approx(0.7 * expected, rel=0.05)


def test_regions_of_a_file(tmp_path):
    make_pictures(tmp_path / "all")
    region = {"start": 1, "end": 4, "boxes": [[0, 0, 8, 16]]}
    row = {
        "image": "all/red-blue.png", "captions": [" red left of blue", "plain"],
        "size": [16, 16], "regions": [[region], []],
    }  # fmt: skip
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(row))
    nlp = spacy.blank("en")
    (example,) = create_image_captions_reader(path)(nlp)
    expected = Regions(
        (16, 16), {"red left of blue": [Region(0, 3, ((0, 0, 8, 16),))], "plain": []}
    )
    assert get_regions(example.reference) == expected
    packed = DocBin(store_user_data=True, docs=[example.reference])
    packed.to_disk(tmp_path / "data.spacy")
    (example,) = create_image_captions_reader(tmp_path / "data.spacy")(nlp)
    assert isinstance(example, Example)
    assert get_regions(example.reference) == expected


@pytest.mark.parametrize(
    "change, message",
    [
        ({"size": None}, "size"),
        ({"size": [0, 3]}, "size"),
        ({"size": [True, 3]}, "size"),
        ({"regions": []}, "a list for each caption"),
        ({"regions": [3]}, "a list for each caption"),
        ({"regions": [[3]]}, '"start", "end" and "boxes"'),
        ({"regions": [[{"start": 0, "end": 99, "boxes": []}]]}, "0 to 99"),
        ({"regions": [[{"start": 2, "end": 1, "boxes": []}]]}, "2 to 1"),
        ({"regions": [[{"start": "0", "end": 1, "boxes": []}]]}, "some characters"),
        ({"regions": [[{"start": 0, "end": 1, "boxes": [[1, 2, 3]]}]]}, "left, top"),
        ({"regions": [[{"start": 0, "end": 1, "boxes": [[3, 2, 3, 9]]}]]}, "left, top"),
        ({"regions": [[{"start": 0, "end": 1, "boxes": [[0, 0, 1e300, 9]]}]]}, "left, top"),
        ({"regions": [[{"start": 0, "end": 1, "boxes": [[4, 0, 9, 9]]}]]}, "outside of a picture"),
        (
            {"regions": [[{"start": 0, "end": 1, "boxes": [[-9, 0, -1, 9]]}]]},
            "outside of a picture",
        ),
    ],
)
def test_bad_regions_are_named(tmp_path, change, message):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    row = {"image": "a.png", "captions": ["a cat"], "size": [4, 4], "regions": [[]], **change}
    (tmp_path / "data.jsonl").write_text(json.dumps(row))
    with pytest.raises(TextFileError, match="line 1") as caught:
        list(create_image_captions_reader(tmp_path / "data.jsonl")(spacy.blank("en")))
    assert message in str(caught.value)
    assert read_regions({"image": "a.png"}, ["a cat"]) is None


def test_things_that_move_are_refused(captions):
    nlp = spacy.blank("en")
    augmenter = {"@misc": "spacy-seqgen.PictureAugmenter.v1", "flip": 0.5}
    config = {"pictures": {"augmenter": augmenter}, "model": {"guided_attention": 0.5}}
    nlp.add_pipe("image_captioner", config=config)
    examples = make_examples(nlp, captions)
    put_regions(examples, swapped=False)
    with pytest.raises(ValueError, match="flip = 0"):
        nlp.initialize(lambda: examples)


def test_nothing_to_guide():
    model = {"attention": "none", "guided_attention": 0.5}
    with pytest.raises(ValueError, match="nothing to guide"):
        spacy.blank("en").add_pipe("image_captioner", config={"model": model})
    with pytest.raises(ValueError, match="0 or more"):
        model = {"guided_attention": -1}
        spacy.blank("en").add_pipe("image_captioner", config={"model": model})


def test_regions_of_blanks_of_one_caption_twice_and_of_one_word():
    box, other = [0, 0, 1, 1], [1, 0, 2, 1]
    data = {
        "size": [2, 1],
        "regions": [
            [{"start": 0, "end": 1, "boxes": [box]}, {"start": 0, "end": 3, "boxes": [box]}],
            [{"start": 0, "end": 2, "boxes": [other]}],
        ],
    }
    regions = read_regions(data, ["  a cat", "a cat"])
    assert regions.captions == {
        "a cat": [Region(0, 1, (tuple(box),)), Region(0, 2, (tuple(other),))]
    }
    vocabulary = Words()
    vocabulary.build({"a": 1, "cat": 1})
    doc = spacy.blank("en").make_doc("x")
    set_regions(doc, regions)
    settings = PictureSettings(fit="stretch")
    guide = make_guide([(doc, "a cat", vocabulary.encode("a cat"))], settings, 1, 2)
    assert guide.tolist() == [[[1, 1], [0, 0], [0, 0]]]  # "a" is about both


def test_attention_that_is_far_astray_learns():
    scores = torch.tensor([[[30.0, 0.0]]], requires_grad=True)

    class Stub(Seq2Seq):
        guided_attention = 1.0

        def start(self, *source):
            return None

        def write(self, state, ids, wants_weights=False):
            return Written(torch.zeros(1, 1, 5), scores.softmax(-1), None)

        def logits(self, states):
            return states

    ids = torch.ones(1, 1, dtype=torch.int64)
    losses, _ = Stub(0.0, 0)((ids,), ids, ids, 1.0, torch.tensor([[[0.0, 1.0]]]))
    losses.sum().backward()
    assert losses.item() == pytest.approx(30 + np.log(5)) and scores.grad[0, 0, 1] < -0.9


def test_things_that_move_are_refused_when_they_are_learned(captions):
    """Of a corpus of which the beginning has no regions; and not where nothing is guided."""
    augmenter = {"@misc": "spacy-seqgen.PictureAugmenter.v1", "flip": 0.5}
    for weight in (0.0, 0.5):
        config = {"pictures": {"augmenter": augmenter}, "model": {"guided_attention": weight}}
        nlp = make_nlp(captions, **config)
        examples = make_examples(nlp, captions)
        put_regions(examples, swapped=False)
        if weight:
            with pytest.raises(ValueError, match="flip = 0"):
                nlp.update(examples)
        else:
            nlp.update(examples)
