import io
import json
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_seqgen.captions import Caption
from spacy_seqgen.cli.caption import captions as find_captions
from spacy_seqgen.cli.caption import find_items
from spacy_seqgen.image_captions import create_image_captions_reader
from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.pictures import Picture, PictureError, PictureSettings, find_picture, read_picture
from spacy_seqgen.visualize.captions import render_sheet, show_picture

COLORS = {"red": (220, 30, 30), "green": (30, 170, 40), "blue": (30, 60, 220), "white": (250,) * 3}


def make_pictures(folder):
    """A left and a right half, and what they are."""
    folder.mkdir(exist_ok=True)
    found = {}
    for left in COLORS:
        for right in COLORS:
            image = Image.new("RGB", (16, 16), COLORS[left])
            image.paste(COLORS[right], (8, 0, 16, 16))
            path = folder / f"{left}-{right}.png"
            image.save(path)
            found[str(path)] = [f"{left} left of {right}"]
    return found


def make_examples(nlp, captions):
    examples = []
    for path, texts in captions.items():
        reference = nlp.make_doc(path)
        reference._.captions = texts
        examples.append(Example(nlp.make_doc(path), reference))
    return examples


def make_nlp(captions, *, seed=0, steps=0, **config):
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    encoder = {"@misc": "spacy-seqgen.ConvEncoder.v1", "widths": [8, 16]}
    model = {"embedding_size": 16, "hidden_size": 32, "encoder": encoder, **config.pop("model", {})}
    pictures = {"size": 16, **config.pop("pictures", {})}
    settings = {"model": model, "pictures": pictures, "attention": True, **config}
    nlp.add_pipe("image_captioner", config=settings)
    examples = make_examples(nlp, captions)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    return nlp


@pytest.fixture(scope="session")
def captions(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures") / "all")


@pytest.fixture(scope="session")
def trained_bytes(captions):
    return make_nlp(captions, steps=80).to_bytes()


@pytest.fixture
def nlp(trained_bytes, captions):
    """The same, loaded on top of other weights and another vocabulary."""
    other = {path: ["something else"] for path in list(captions)[:1]}
    return make_nlp(other, seed=9).from_bytes(trained_bytes)


def test_add_pipe_works_without_any_setting():
    nlp = spacy.blank("en")
    assert nlp.add_pipe("image_captioner").is_trainable
    with pytest.raises(ValueError, match="E109"):
        nlp("a.png")


def test_it_learns_what_is_where(nlp, captions):
    right = [doc._.caption in captions[doc.text] for doc in nlp.pipe(captions)]
    assert sum(right) >= 14
    scores = nlp.evaluate(make_examples(nlp, captions))
    assert scores["caption_exact_match"] == sum(right) / 16
    assert scores["bleu_4"] > 0.8 and scores["caption_accuracy"] > 0.7


def test_what_is_written(nlp, captions):
    pipe = nlp.get_pipe("image_captioner")
    pipe.options = pipe.options.changed({"num_samples": 3, "length_alpha": 0.0})
    path = next(iter(captions))
    doc = nlp(path)
    found = doc._.captions
    assert len(found) == 3 and found[0].text == doc._.caption
    scores = [item.log_prob for item in found]
    assert scores == sorted(scores, reverse=True)
    best = found[0]
    assert best.finish_reason == "end" and " ".join(best.tokens) == best.text
    assert best.attention.shape == (len(best.tokens), 4, 4)
    assert best.attention.dtype == np.float16
    np.testing.assert_allclose(best.attention.sum((1, 2), dtype=float), 1, atol=0.01)
    assert sum(best.token_log_probs) >= best.log_prob


def test_batches_make_no_difference(nlp, captions):
    alone = [nlp(path)._.captions[0] for path in captions]
    for size in (1, 3, 16):
        for one, doc in zip(alone, nlp.pipe(captions, batch_size=size), strict=True):
            assert doc._.caption == one.text
            assert doc._.captions[0].log_prob == pytest.approx(one.log_prob, abs=1e-4)


def test_the_other_side_of_the_benchmark_finds_the_same(nlp, captions):
    benchmark = pytest.importorskip("benchmarks.plain_captioner")
    pipe = nlp.get_pipe("image_captioner")
    net = get_shim(pipe.model).net.eval()
    pictures = [pipe.pictures.load(find_picture(path)) for path in captions]
    found = benchmark.caption_singly(net, pictures, size=3, max_length=50, alpha=0.7)
    expected = [doc._.caption for doc in nlp.pipe(captions)]
    assert [pipe.vocabulary.decode(ids) for ids in found] == expected


def test_values_survive(nlp, captions, trained_bytes, tmp_path):
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    for one, two in zip(nlp.pipe(captions), loaded.pipe(captions), strict=True):
        assert one._.caption == two._.caption
        assert one._.captions[0].log_prob == two._.captions[0].log_prob
    doc = next(nlp.pipe(captions))
    (copy,) = DocBin(store_user_data=True, docs=[doc]).get_docs(nlp.vocab)
    assert copy._.caption == doc._.caption
    np.testing.assert_array_equal(copy._.captions[0].attention, doc._.captions[0].attention)


def test_pictures_from_memory(nlp, captions):
    path = next(iter(captions))
    image = Image.open(path)
    expected = nlp(path)._.caption
    with open(path, "rb") as file:
        data = file.read()
    for content in (path, data, image, np.asarray(image)):
        doc = nlp.make_doc("a picture")
        doc._.image = content
        copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        for item in (doc, doc.copy(), copy):
            assert nlp(item)._.caption == expected
    with pytest.raises(ValueError, match="must be a path"):
        doc._.image = 5
    doc._.image = None
    assert doc._.image is None


def test_a_picture_that_several_docs_share(nlp, tmp_path):
    """Pillow reads its file when its pixels are asked for: here, by two threads at once."""
    rng = np.random.default_rng(0)
    path = tmp_path / "large.png"
    Image.fromarray(rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)).save(path)
    for _ in range(10):
        with Image.open(path) as image:
            docs = [nlp.make_doc("shared") for _ in range(8)]
            for doc in docs:
                doc._.image = image
            assert len({doc._.caption for doc in nlp.pipe(docs)}) == 1


def test_what_is_stored_is_what_is_read(nlp):
    """Turned as EXIF says and with all 16 bits; a damaged one fails when it is captioned."""
    image = Image.new("RGB", (8, 4), COLORS["red"])
    image.getexif()[0x0112] = 6
    doc = nlp.make_doc("x")
    for content in (image, Image.new("I;16", (4, 8), 32896)):
        doc._.image = content
        copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        expected = np.asarray(read_picture(Picture("it", content)))
        assert expected.shape == (8, 4, 3)
        np.testing.assert_array_equal(copy._.image, expected)
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    doc._.image = Image.open(io.BytesIO(file.getvalue()[:300]))
    copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    copy = Doc(nlp.vocab).from_bytes(copy.to_bytes())
    with pytest.raises(PictureError, match=r"picture of the Doc 'x' was not stored.*be decoded"):
        nlp(copy)


def test_pictures_in_memory_can_be_learned(captions):
    nlp = make_nlp(captions)
    reference = nlp.make_doc("x")
    reference._.image = np.zeros((16, 16, 3), dtype=np.uint8)
    reference._.caption = "red left of red"
    losses = nlp.update([Example(nlp.make_doc("x"), reference)], sgd=nlp.create_optimizer())
    assert losses["image_captioner"] > 0


def test_processes(nlp, captions):
    expected = [doc._.caption for doc in nlp.pipe(captions)]
    found = [doc._.caption for doc in nlp.pipe(captions, n_process=2, batch_size=4)]
    assert found == expected


def test_bad_pictures_do_not_harm_the_others(nlp, captions, tmp_path):
    good = list(captions)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    names = [good[0], "missing.png", good[1], str(text), "http://127.0.0.1/a.png", good[2]]
    expected = [nlp(path)._.caption for path in good[:3]]
    with pytest.raises(PictureError, match=r"missing\.png"):
        list(nlp.pipe(names))
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.append((docs[0].text, str(error))))
    assert [doc._.caption for doc in nlp.pipe(names)] == expected
    assert [name for name, _ in failed] == [names[1], names[3], names[4]]
    assert all(name.rpartition("/")[2] in message for name, message in failed)


def test_image_dir(trained_bytes, captions, tmp_path):
    folder = str(next(iter(captions)).rpartition("/")[0])
    nlp = make_nlp(captions, image_dir=folder).from_bytes(trained_bytes)
    assert nlp("red-blue.png")._.caption
    (tmp_path / "other.png").write_bytes(b"")
    with pytest.raises(PictureError, match="outside of image_dir"):
        nlp(str(tmp_path / "other.png"))


def test_what_was_looked_at_is_shown(nlp, tmp_path, monkeypatch):
    """With image_dir and without attention; not another picture of that name."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (32, 16), COLORS["red"]).save(folder / "a.png")
    Image.new("RGB", (16, 16), COLORS["blue"]).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    pipe = nlp.get_pipe("image_captioner")
    pipe.image_dir, pipe.attention = "photos", False
    pipe.pictures = PictureSettings(size=16, fit="pad", max_pixels=600)
    doc = nlp("a.png")
    monkeypatch.chdir(folder.parent.parent)
    shown = show_picture(doc, 16)
    assert shown.getpixel((8, 8)) == COLORS["red"]
    assert shown.getpixel((8, 0)) == (255, 255, 255)  # filled up
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    with pytest.raises(PictureError, match="max_pixels"):
        show_picture(doc, 16)
    (folder / "a.png").unlink()
    assert "There is no picture" in render_sheet([(doc, ["red"])])


def test_training_leaves_out_what_it_can_not_read(captions, caplog, tmp_path):
    nlp = make_nlp(captions)
    examples = make_examples(nlp, {str(tmp_path / "gone.png"): ["red"], **captions})
    caplog.set_level("WARNING", logger="spacy")
    losses = nlp.update(examples, sgd=nlp.create_optimizer())
    assert losses["image_captioner"] > 0 and np.isfinite(losses["image_captioner"])
    assert "gone.png" in caplog.text


def test_evaluations_in_training_go_on(captions, caplog, tmp_path):
    nlp = make_nlp(captions, steps=1)
    good, bad = next(iter(captions)), tmp_path / "bad.png"
    bad.write_bytes(b"")
    caplog.set_level("WARNING", logger="spacy")
    examples = make_examples(nlp, {good: ["red"], str(bad): ["blue"]})
    assert nlp.evaluate(examples)["caption_exact_match"] <= 0.5
    assert "bad.png" in caplog.text
    docs = list(nlp.pipe([str(bad), good, str(bad)]))
    assert [doc.text for doc in docs] == [str(bad), good, str(bad)]
    assert [len(doc._.captions) for doc in docs] == [0, 1, 0]
    loaded = make_nlp(captions).from_bytes(nlp.to_bytes())
    with pytest.raises(PictureError, match=r"bad\.png"):
        list(loaded.pipe([good, str(bad)]))


def test_one_of_several_captions_is_learned_at_a_time(captions, monkeypatch):
    nlp = make_nlp({path: [*texts, "another caption"] for path, texts in captions.items()})
    pipe, seen = nlp.get_pipe("image_captioner"), set()
    sample = pipe.vocabulary.sample
    monkeypatch.setattr(pipe.vocabulary, "sample", lambda text: seen.add(text) or sample(text))
    several = {path: [*texts, "another caption"] for path, texts in captions.items()}
    nlp.update(make_examples(nlp, several))
    assert "another caption" in seen and len(seen) > 2


def test_several_captions_of_each_picture_in_an_update(captions, monkeypatch):
    several = {path: ["one", "two", "three"] for path in captions}
    several[next(iter(captions))] = ["single"]  # is repeated
    nlp = make_nlp(several, captions_per_picture=2)
    pipe, seen = nlp.get_pipe("image_captioner"), []
    sample = pipe.vocabulary.sample
    monkeypatch.setattr(pipe.vocabulary, "sample", lambda text: seen.append(text) or sample(text))
    nlp.update(make_examples(nlp, several))
    pairs = list(zip(seen[::2], seen[1::2], strict=True))
    assert len(pairs) == len(several) and pairs[0] == ("single", "single")
    assert all(one != other for one, other in pairs[1:])
    with pytest.raises(ValueError, match="captions_per_picture"):
        make_nlp(captions, captions_per_picture=0)


def test_learning_leaves_the_order_of_the_batches_alone(captions):
    """It is drawn from `random`: so a resumed training sees the batches of one that was not
    interrupted."""
    several = {path: [*texts, "another"] for path, texts in list(captions.items())[:3]}
    augmenter = {"@misc": "spacy-seqgen.PictureAugmenter.v1"}
    nlp = make_nlp(several, pictures={"augmenter": augmenter})
    before = random.getstate()
    nlp.update(make_examples(nlp, several))
    assert random.getstate() == before


def test_blank_captions_are_not_learned(captions, monkeypatch):
    nlp = make_nlp(captions)
    pipe, seen = nlp.get_pipe("image_captioner"), set()
    sample = pipe.vocabulary.sample
    monkeypatch.setattr(pipe.vocabulary, "sample", lambda text: seen.add(text) or sample(text))
    nlp.update(make_examples(nlp, {path: [" ", "one", ""] for path in captions}))
    assert seen == {"one"}


def test_every_part_of_the_model_is_saved(captions):
    """Also those that are off by default; into one with other weights."""
    model = {"layout": 2, "word_detectors": True, "feeds_places": True, "context_layers": 1}
    saved = make_nlp(captions, steps=10, model=dict(model)).to_bytes()
    found = []
    for seed in (1, 2):
        other = make_nlp(captions, seed=seed, model=dict(model)).from_bytes(saved)
        found.append([doc._.captions[0] for doc in other.pipe(list(captions))])
    assert len({caption.text for caption in found[0]}) > 1
    for one, two in zip(*found, strict=True):
        assert one.text == two.text and np.array_equal(one.attention, two.attention)


def test_pictures_are_read_once(captions):
    """In training, where nothing varies them."""
    nlp = make_nlp(captions)
    pipe = nlp.get_pipe("image_captioner")
    examples, optimizer = make_examples(nlp, captions), nlp.create_optimizer()
    pipe.features.clear()
    nlp.update(examples, sgd=optimizer)
    assert len(pipe.features) == len(captions)
    pipe._load = None  # they are not read again
    nlp.update(examples, sgd=optimizer)
    found = pipe._read_for_training([example.reference for example in examples])
    assert [doc.text for doc, _ in found] == list(captions)
    for doc, picture in found:
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, pipe.pictures.load(pipe.find(doc)))


def test_features_are_those_of_a_size_and_fit(captions):
    nlp = make_nlp(captions)
    pipe, doc = nlp.get_pipe("image_captioner"), nlp.make_doc(next(iter(captions)))
    keys = set()
    for settings in ({"size": 16}, {"size": 32}, {"size": 16, "fit": "pad"}):
        pipe.pictures = PictureSettings(**settings)
        keys.add(pipe._find_key(doc))
    assert len(keys) == 3


def test_a_reader_and_a_captioner_of_one_folder(nlp, captions, tmp_path, monkeypatch):
    folder = Path(next(iter(captions))).parent
    rows = [{"image": Path(path).name, "captions": texts} for path, texts in captions.items()]
    path = folder / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows[:3])))
    monkeypatch.chdir(folder.parent)
    nlp.get_pipe("image_captioner").image_dir = folder.name
    examples = list(create_image_captions_reader(f"{folder.name}/t.jsonl")(nlp))
    assert len(examples) == 3
    assert nlp.evaluate(examples)["caption_exact_match"] > 0
    nlp.update(examples, sgd=nlp.create_optimizer())


def test_what_counts_as_learned(captions):
    """Characters of captions, not those of paths."""
    nlp = make_nlp(captions)
    pipe = nlp.get_pipe("image_captioner")
    pipe.captions_per_picture = 2
    path = next(iter(captions))
    pipe.update(make_examples(nlp, {path: ["one", "three"]}))
    assert pipe.learned_characters == 2 * 8 // 2


def test_nothing_to_learn(captions, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("image_captioner")
    with pytest.raises(ValueError, match="no Doc of the training data has a caption"):
        nlp.initialize(lambda: make_examples(nlp, {path: [] for path in captions}))
    with pytest.raises(PictureError, match=r"gone\.png"):
        nlp.initialize(lambda: make_examples(nlp, {str(tmp_path / "gone.png"): ["a"]}))


def test_options_for_translators_are_refused(captions):
    with pytest.raises(ValueError, match="max_length_ratio is for translators"):
        make_nlp(captions, generation={"beam_size": 3, "max_length_ratio": 2.0})


def test_without_attention(captions):
    nlp = make_nlp(captions, model={"attention": "none"}, steps=1)
    assert nlp(next(iter(captions)))._.captions[0].attention is None


@pytest.mark.parametrize("vocabulary", ["Characters", "Subwords"])
def test_other_vocabularies(captions, vocabulary):
    vocabulary = {"@misc": f"spacy-seqgen.{vocabulary}.v1"}
    nlp = make_nlp(captions, vocabulary=vocabulary, steps=1, generation={"max_length": 5})
    caption = nlp(next(iter(captions)))._.captions[0]
    assert caption.attention.shape[0] == len(caption.tokens)


def test_spacy_commands(nlp, captions, tmp_path):
    """spacy evaluate reads .spacy files by a reader of its own, which knows only texts."""
    from spacy.cli.evaluate import evaluate

    nlp.to_disk(tmp_path / "model")
    references = [eg.reference for eg in make_examples(nlp, captions)]
    DocBin(store_user_data=True, docs=references).to_disk(tmp_path / "dev.spacy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = evaluate(str(tmp_path / "model"), tmp_path / "dev.spacy", silent=True)
    assert scores["caption_exact_match"] > 0.8
    reader = create_image_captions_reader(tmp_path / "dev.spacy")
    assert len(list(reader(nlp))) == 16


def test_extensions_take_strings_and_captions(nlp):
    doc = nlp.make_doc("a.png")
    doc._.captions = ["one", Caption("two", log_prob=-1.0)]
    assert [item.text for item in doc._.captions] == ["one", "two"]
    assert doc._.caption == "one"
    with pytest.raises(ValueError, match="must be a list"):
        doc._.captions = "one"


def test_a_corpus_of_docs_that_hold_their_pictures(nlp, captions, tmp_path):
    """It is evaluated and captioned, too: the picture goes with the prediction."""
    docs = []
    for number, (path, texts) in enumerate(captions.items()):
        doc = nlp.make_doc(f"picture {number}")
        doc._.image = np.asarray(Image.open(path))
        doc._.captions = texts
        docs.append(doc)
    DocBin(store_user_data=True, docs=docs).to_disk(tmp_path / "held.spacy")
    examples = list(create_image_captions_reader(tmp_path / "held.spacy")(nlp))
    assert nlp.evaluate(examples)["caption_exact_match"] > 0.5
    items = list(find_items(nlp, [tmp_path / "held.spacy"]))
    assert [path for path, _, known in items if known] == [doc.text for doc in docs]
    shown = list(find_captions(nlp, "image_captioner", iter(items), 4))
    assert all(doc._.caption for doc, _ in shown) and len(shown) == len(docs)


def test_damaged_pictures_at_the_beginning(captions, tmp_path):
    """Training leaves them out, however many come first."""
    broken = {}
    for number in range(10):
        path = tmp_path / f"{number}.png"
        path.write_bytes(Path(next(iter(captions))).read_bytes()[:60])
        broken[str(path)] = ["broken"]
    make_nlp({**broken, **captions})
    with pytest.raises(PictureError, match=r"0\.png"):
        make_nlp(broken)


def test_a_colon_makes_no_address(captions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shot-12:30.png").write_bytes(Path(next(iter(captions))).read_bytes())
    assert find_picture("shot-12:30.png").content == Path("shot-12:30.png")
