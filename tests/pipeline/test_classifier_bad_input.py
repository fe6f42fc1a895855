"""Input that no one would write on purpose."""

import numpy as np
import pytest
import spacy
import srsly
from spacy.util import registry

from ..classifiers import (
    TEXTS,
    add_classifier,
    make_classifier,
    make_folder,
    make_labelled,
    scores,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def nlp(folder):
    return make_classifier(folder)


@pytest.mark.parametrize(
    "text", ["☃ \u200b 😀", "\n \t", "\x00", "a" * 5000, "e\u0301", "[SEP] [CLS]"]
)
def test_strange_texts_harm_no_one(nlp, text):
    neighbours = ["a good film", "bad"]
    found = scores(nlp, [neighbours[0], text, "", neighbours[1]])
    np.testing.assert_allclose([found[0], found[3]], scores(nlp, neighbours), atol=1e-5)
    assert np.isfinite(found).all()
    assert sum(found[2]) == 0


def test_a_very_long_text(folder):
    nlp = make_classifier(folder, encoder={"batch_size": 400}, pooling="attention")
    nlp.max_length = 10**7
    (found,) = scores(nlp, ["a good film ! " * 50_000])  # 200,000 tokens
    assert sum(found) == pytest.approx(1)
    examples = make_labelled(nlp, [("a good film " * 500, "pos"), TEXTS[1]])
    assert nlp.update(examples, sgd=nlp.create_optimizer())["textcat"] > 0


def test_one_class_only(folder):
    nlp = spacy.blank("en")
    add_classifier(nlp, folder)
    with pytest.raises(ValueError, match="E867"):
        nlp.initialize(lambda: make_labelled(nlp, [("a film", "pos")]))
    many = make_classifier(folder, factory="textcat_multilabel", texts=[("a film", "pos")], steps=2)
    assert list(many("bad").cats) == ["pos"]


def test_a_label_that_was_never_seen(folder):
    nlp = spacy.blank("en")
    pipe = add_classifier(nlp, folder)
    for label in ("neg", "pos", "never seen"):
        pipe.add_label(label)
    nlp.initialize(lambda: make_labelled(nlp))
    nlp.update(make_labelled(nlp), sgd=nlp.create_optimizer())
    assert nlp("a film").cats.keys() == {"neg", "pos", "never seen"}
    other = make_labelled(nlp, [("a film", "another one")])
    assert nlp.evaluate(other)["cats_macro_f"] == 0


def test_labels_of_any_kind(folder, tmp_path):
    labels = ["so so", "größer 😀", "日本語", "a/b\\c"]
    texts = [(text, labels[i % 4]) for i, (text, _) in enumerate(TEXTS)]
    nlp = make_classifier(folder, texts=texts, steps=2)
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert set(loaded("a film").cats) == set(labels)
    assert scores(loaded, ["a film"]) == scores(nlp, ["a film"])


def test_mixed_annotation(nlp):
    """Two classes at once are no exclusive classes."""
    example = make_labelled(nlp)[0]
    example.reference.cats = {"pos": 1.0, "neg": 1.0}
    with pytest.raises(ValueError, match="E895"):
        nlp.update([example], sgd=nlp.create_optimizer())


def test_annotation_that_is_missing(folder):
    nlp = make_classifier(folder, factory="textcat_multilabel")
    examples = make_labelled(nlp)
    for example in examples:
        example.reference.cats = {"pos": example.reference.cats["pos"]}
    before = scores(nlp, ["bad"])
    for _ in range(5):
        nlp.update(examples, sgd=nlp.create_optimizer())
    assert scores(nlp, ["bad"]) != before


def test_settings_that_do_not_fit(folder):
    build = registry.architectures.get("spacy-seqgen.TransformerTextCat.v1")
    own = registry.misc.get("spacy-seqgen.PretrainedEncoder.v1")(str(folder))
    for wrong, message in [
        ({"pooling": "min"}, "pooling must be one of"),
        ({"hidden_size": -1}, "hidden_size must be"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"label_smoothing": 1.0}, "label_smoothing must be"),
        ({"class_weights": [1.0, 0.0]}, "class_weights must be above 0"),
        ({"precision": "int8"}, "^precision must be one of"),
        ({"predict_precision": "fp64"}, "predict_precision must be one of"),
    ]:
        with pytest.raises(ValueError, match=message):
            build(own, True, **wrong)
    with pytest.raises(ValueError, match="encoder must be"):
        build("bert", True)
    nlp = spacy.blank("en")
    add_classifier(nlp, folder, class_weights=[1.0])
    with pytest.raises(ValueError, match="has 1 weights, but there are 2 labels"):
        nlp.initialize(lambda: make_labelled(nlp))
    with pytest.raises(ValueError, match="train_layers must be"):
        add_classifier(spacy.blank("en"), folder, encoder={"train_layers": -1})
    with pytest.raises(ValueError, match="stride must be from 1"):
        make_classifier(folder, encoder={"window": 8, "stride": 8})


def test_weights_of_another_model(folder, tmp_path, nlp):
    """The file of weights is checked, whatever it says of itself."""
    nlp.to_disk(tmp_path / "model")
    path = tmp_path / "model" / "textcat" / "model"
    data = path.read_bytes()
    for wrong in (data[: len(data) // 2], data.replace(b"hidden_size", b"hidden_sizf")):
        path.write_bytes(wrong)
        with pytest.raises(ValueError):
            spacy.load(tmp_path / "model")


def with_encoder(**settings):
    def change(description):
        description["config"] |= settings

    return change


def with_values(**values):
    return lambda description: description.update(values)


def without(key):
    return lambda description: {k: v for k, v in description.items() if k != key}


def load_changed(nlp, folder, change):
    """Into a classifier that was not initialized, what the weights are saved with."""
    data = srsly.msgpack_loads(nlp.get_pipe("textcat").model.shims[0].to_bytes())
    data["description"] = change(data["description"]) or data["description"]
    other = add_classifier(spacy.blank("en"), folder)
    other.model.shims[0].from_bytes(srsly.msgpack_dumps(data))


@pytest.mark.parametrize(
    "change,message",
    [
        (with_encoder(vocab_size=10**11), r"word_embeddings.weight has shape \(17, 16\), not"),
        (with_encoder(hidden_size=10**9), "has shape"),
        (with_encoder(intermediate_size=10**11), "has shape"),
        (with_encoder(max_position_embeddings=10**11), "has shape"),
        (with_encoder(num_hidden_layers=10**9), "more weights than the file holds"),
        (with_encoder(num_labels=10**12, num_hidden_layers=2), "is unknown"),
        (with_values(classes=10**11), r"head.output.weight has shape \(2, 16\), not"),
        (with_values(width=10**11), "has shape"),
    ],
)
def test_absurd_sizes_are_compared_before_they_are_made(nlp, folder, change, message):
    with pytest.raises(ValueError, match=f"TransformerTextCat.*{message}"):
        load_changed(nlp, folder, change)


@pytest.mark.parametrize(
    "change,message",
    [
        (without("classes"), "'classes' is missing"),
        (without("width"), "'width' is missing"),
        (without("config"), "'config' is missing"),
        (without("tokenizer"), "'tokenizer' is missing"),
        (without("window"), "'window' is missing"),
        (with_values(classes="2"), "TypeError"),
        (with_values(classes=-2), "-2"),
        (with_values(config="bert"), "AttributeError"),
        (with_encoder(model_type=["bert"]), "TypeError"),
        (with_encoder(hidden_size="x"), "encoder"),
        (with_values(tokenizer="{"), "tokenizer can't be read"),
        (with_values(tokenizer=None), "tokenizer can't be read"),
        (with_values(window="8"), "TypeError"),
        (with_values(window=41), "window is 41, but the encoder reads 40"),
        (lambda description: ["x"], "is no dict"),
    ],
)
def test_damaged_descriptions(nlp, folder, change, message):
    found = f"spacy-seqgen.TransformerTextCat.v1 can't be made .*{message}.* damaged"
    with pytest.raises(ValueError, match=found) as error:
        load_changed(nlp, folder, change)
    assert "\n" not in str(error.value)


def test_weights_that_are_no_message(nlp):
    for data in (b"", b"\xc1", b"x" * 9):
        with pytest.raises(ValueError, match="not weights that spacy-seqgen saved"):
            nlp.get_pipe("textcat").model.shims[0].from_bytes(data)
