"""Captioners with an image encoder that was trained before."""

import json
import shutil

import pytest
import spacy
import torch
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_seqgen.models.finding import PretrainedError
from spacy_seqgen.models.shim import get_shim

from ..vision_models import make_vision_folder
from .test_captioner import captions, make_examples  # noqa: F401

COLOURS = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}


def make_nlp(folder, examples=None, *, seed=0, steps=0, size=16, **encoder):
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    block = {"@misc": "spacy-seqgen.PretrainedVision.v1", "name": str(folder), **encoder}
    model = {"embedding_size": 8, "hidden_size": 16, "encoder": block}
    settings = {"model": model, "pictures": {"size": size}, "generation": {"max_length": 4}}
    pipe = nlp.add_pipe("image_captioner", config=settings)
    if examples is not None:
        made = make_examples(nlp, examples)
        optimizer = nlp.initialize(lambda: made)
        optimizer.learn_rate = 0.01
        for _ in range(steps):
            nlp.update(made, sgd=optimizer, drop=0.5)
    return nlp, pipe


def net_of(pipe):
    return get_shim(pipe.model).net


def written(nlp, paths):
    return [(doc._.caption, doc._.captions[0].log_prob) for doc in nlp.pipe(paths)]


@pytest.fixture(params=["resnet", "vit"])
def kind(request):
    return request.param


def test_a_saved_pipeline_needs_no_folder(kind, tmp_path, captions):  # noqa: F811
    """Nor anything else that is outside of it."""
    folder = make_vision_folder(tmp_path / "encoder", kind, colours=COLOURS)
    nlp, pipe = make_nlp(folder, captions, steps=2, train_from=2)
    data = nlp.to_bytes()
    nlp.to_disk(tmp_path / "saved")
    other, other_pipe = make_nlp(
        make_vision_folder(tmp_path / "other", kind, seed=5),
        {next(iter(captions)): ["something else"]},
        seed=9,
        train_from=2,
    )
    empty, _ = make_nlp(folder, train_from=2)
    shutil.rmtree(folder)
    loaded = spacy.load(tmp_path / "saved")
    expected = {name: value.clone() for name, value in net_of(pipe).state_dict().items()}
    assert not torch.equal(
        net_of(other_pipe).state_dict()["projection.weight"], expected["projection.weight"]
    )
    paths = list(captions)[:3]
    right = written(nlp.from_bytes(data), paths)  # as evaluated: not greedily
    for found in (other.from_bytes(data), empty.from_bytes(data), loaded):
        net = net_of(found.get_pipe("image_captioner"))
        assert net.state_dict().keys() == expected.keys()
        assert all(torch.equal(v, expected[n]) for n, v in net.state_dict().items())
        torch.testing.assert_close(net.encoder.mean.flatten(), torch.tensor([0.4, 0.5, 0.6]))
        torch.testing.assert_close(net.encoder.std.flatten(), torch.tensor([0.2, 0.3, 0.4]))
        assert written(found, paths) == right
    # It can be trained on, and saved again.
    loaded.update(make_examples(loaded, captions), sgd=loaded.resume_training())
    learned = net_of(loaded.get_pipe("image_captioner")).state_dict()
    other.from_bytes(loaded.to_bytes())
    assert all(torch.equal(v, learned[n]) for n, v in net_of(other_pipe).state_dict().items())
    assert any(not torch.equal(value, expected[n]) for n, value in learned.items())


def test_what_is_saved_of_the_encoder(tmp_path, captions):  # noqa: F811
    folder = make_vision_folder(tmp_path / "encoder")
    _, pipe = make_nlp(folder, captions)
    pipe.to_disk(tmp_path / "pipe")
    cfg = json.loads((tmp_path / "pipe" / "cfg").read_text())
    assert cfg["encoder"].keys() == {"config", "mean", "std", "width"}
    assert str(tmp_path) not in json.dumps(cfg)
    other = make_nlp(tmp_path / "gone")[1]
    for damaged, message in (
        ({}, "The image encoder is not known"),
        ({"encoder": 3}, "Can't load the model of 'image_captioner'"),
        ({"encoder": {**cfg["encoder"], "width": 5}}, "Can't load the model of 'image_captioner'"),
        ({"encoder": {**cfg["encoder"], "config": {"model_type": "bert"}}}, "no image encoder"),
    ):
        (tmp_path / "pipe" / "cfg").write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match=message):
            other.from_disk(tmp_path / "pipe")


def test_features_of_a_frozen_encoder_are_kept(tmp_path, captions):  # noqa: F811
    nlp, pipe = make_nlp(make_vision_folder(tmp_path, "vit"), captions, steps=1)
    encoder = net_of(pipe).encoder
    assert encoder.frozen and len(pipe.features) == len(captions)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.model.forward = None  # it is not asked again
    losses = [nlp.update(make_examples(nlp, captions), sgd=nlp.create_optimizer(), losses={})
              for _ in range(3)]  # fmt: skip
    assert losses[-1]["image_captioner"] < losses[0]["image_captioner"]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert {p.grad for p in encoder.parameters()} == {None}


def test_an_encoder_keeps_its_dropout(tmp_path, captions):  # noqa: F811
    _, pipe = make_nlp(make_vision_folder(tmp_path, "vit"), captions, steps=1, train_from=0)
    net = net_of(pipe)
    assert {m.p for m in net.encoder.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    assert {m.p for m in net.decoder.modules() if isinstance(m, torch.nn.Dropout)} == {0.5}


def test_pictures_that_the_encoder_can_not_read(tmp_path, captions):  # noqa: F811
    with pytest.raises(PretrainedError, match="can't read pictures of 2 x 2 pixels"):
        make_nlp(make_vision_folder(tmp_path, "vit"), captions, size=2)


def test_initializing_again_with_another_encoder(tmp_path, captions):  # noqa: F811
    nlp, pipe = make_nlp(make_vision_folder(tmp_path, "vit"), captions)
    make_vision_folder(tmp_path, "vit", seed=4)
    reference = make_examples(nlp, captions)
    before = net_of(pipe).encoder.state_dict()
    nlp.initialize(lambda: [Example(eg.predicted, eg.reference) for eg in reference])
    after = net_of(pipe).encoder.state_dict()
    name = "model.encoder.layer.0.output.dense.weight"
    assert not torch.equal(before[name], after[name])
