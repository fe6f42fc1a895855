"""The text classifier inside of spaCy's own components."""

import copy
import json
import pickle
import shutil
import sys

import numpy as np
import pytest
import spacy
import torch
from spacy.training import Example
from thinc.api import fix_random_seed
from torch.nn import functional as F

from spacy_seqgen.models import precision
from spacy_seqgen.models.class_gradients import ClassGradients
from spacy_seqgen.models.explaining import explain
from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.models.text_classification import get_pieces, quantize
from spacy_seqgen.modules.classifier_head import POOLINGS

from ..classifiers import (
    TEXTS,
    add_classifier,
    make_classifier,
    make_folder,
    make_labelled,
    scores,
    train,
)
from ..util import computing_bf16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize(
    "factory,pooling",
    [*(("textcat", pooling) for pooling in POOLINGS), ("textcat_multilabel", "mean")],
)
def test_overfitting(folder, tmp_path, factory, pooling):
    """Learns, says the same in any batch, and says it again after loading."""
    nlp = make_classifier(folder, factory=factory, pooling=pooling, hidden_size=8)
    assert train(nlp, 40)[factory] < 0.01
    texts = [text for text, _ in TEXTS] + ["", "unheard of", "a good film " * 30]
    found = scores(nlp, texts)
    for cats, (_, label) in zip(found, TEXTS, strict=False):
        assert (cats[0] > cats[1]) == (nlp.get_pipe(factory).labels[0] == label)
    if factory == "textcat":
        np.testing.assert_allclose(np.sum(found, 1)[: len(TEXTS)], 1, atol=1e-6)
    for size in (1, 2):
        np.testing.assert_allclose(scores(nlp, texts, batch_size=size), found, atol=1e-5)
    assert nlp.evaluate(make_labelled(nlp))["cats_macro_f"] == 1.0
    nlp.to_disk(tmp_path / "model")
    assert scores(spacy.load(tmp_path / "model"), texts) == found
    other = make_classifier(folder, seed=7, factory=factory, pooling=pooling, hidden_size=8)
    assert scores(other, texts) != found
    assert scores(other.from_bytes(nlp.to_bytes()), texts) == found


def test_a_saved_pipeline_needs_no_encoder_folder(tmp_path):
    folder = make_folder(tmp_path / "encoder")
    nlp = make_classifier(folder)
    nlp.to_disk(tmp_path / "model")
    folder.rename(tmp_path / "elsewhere")
    assert scores(spacy.load(tmp_path / "model"), ["a film"]) == scores(nlp, ["a film"])


def test_loading_leaves_the_random_state_alone(folder, tmp_path):
    make_classifier(folder).to_disk(tmp_path / "model")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    spacy.load(tmp_path / "model")
    assert torch.rand(1) == expected


def test_not_initialized(folder):
    nlp = spacy.blank("en")
    add_classifier(nlp, folder)
    with pytest.raises(ValueError, match="E109"):
        nlp("a film")
    assert spacy.blank("en").from_bytes(spacy.blank("en").to_bytes())


# What is learned: against PyTorch's own losses


def gradient_of(loss, logits):
    (found,) = torch.autograd.grad(loss, logits)
    return found


@pytest.mark.parametrize("smoothing,weights", [(0.0, None), (0.2, None), (0.1, [0.5, 2.0, 1.0])])
def test_gradients_of_exclusive_classes(smoothing, weights):
    torch.manual_seed(0)
    logits = torch.randn(5, 3, requires_grad=True)
    gold = torch.tensor([0, 1, 2, 1, 0])
    weight = weights and torch.tensor(weights)
    loss = F.cross_entropy(logits, gold, weight=weight, label_smoothing=smoothing, reduction="sum")
    scores = logits.detach().softmax(1)
    made = ClassGradients(True, smoothing, weights)(scores, scores - F.one_hot(gold, 3))
    torch.testing.assert_close(made, gradient_of(loss, logits) / 5, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("smoothing,weights", [(0.0, None), (0.2, None), (0.1, [0.5, 2.0, 1.0])])
def test_gradients_of_other_classes(smoothing, weights):
    """A missing annotation has no gradient."""
    torch.manual_seed(0)
    logits = torch.randn(5, 3, requires_grad=True)
    gold = torch.tensor([[0.0, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0]])
    known = torch.ones(5, 3)
    known[1, 2] = known[4, 0] = 0
    smooth = gold * (1 - smoothing) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(
        logits, smooth, pos_weight=weights and torch.tensor(weights), reduction="none"
    )
    scores = logits.detach().sigmoid()
    made = ClassGradients(False, smoothing, weights)(scores, (scores - gold) * known)
    expected = gradient_of((loss * known).sum(), logits) / 5
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_scores_that_are_rounded_to_their_truth_are_smoothed(exclusive):
    logits = torch.tensor([[200.0, -200.0], [-150.0, 150.0], [0.5, -200.0]], requires_grad=True)
    gold = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    if exclusive:
        loss = F.cross_entropy(logits, gold, label_smoothing=0.2, reduction="sum")
        scores = logits.detach().softmax(1)
    else:
        smooth = gold * 0.8 + 0.1
        loss = F.binary_cross_entropy_with_logits(logits, smooth, reduction="sum")
        scores = logits.detach().sigmoid()
    assert ((scores - gold)[:2] == 0).all()
    made = ClassGradients(exclusive, 0.2, None)(scores, scores - gold)
    torch.testing.assert_close(made, gradient_of(loss, logits) / 3)
    assert not ClassGradients(exclusive, 0.2, None)(
        torch.full((1, 2), 0.5), torch.zeros(1, 2)
    ).any()


@pytest.mark.parametrize("factory", ["textcat", "textcat_multilabel"])
def test_an_update_makes_the_gradients_of_cross_entropy(folder, factory):
    nlp = make_classifier(folder, factory=factory, dropout=0.0, encoder={"dropout": 0.0})
    examples = make_labelled(nlp)
    model = nlp.get_pipe(factory).model
    net = get_shim(model).net
    nlp.get_pipe(factory).update(examples)
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    windows = get_pieces(model)([eg.text for eg in examples])
    (logits,) = net(windows.ids, windows.counts)
    labels = nlp.get_pipe(factory).labels
    gold = torch.tensor([[eg.reference.cats[label] for label in labels] for eg in examples])
    if factory == "textcat":
        F.cross_entropy(logits, gold).backward()
    else:
        (F.binary_cross_entropy_with_logits(logits, gold) * 2).backward()
    assert found
    for name, gradient in found.items():
        expected = net.get_parameter(name).grad
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)


# What is trained


def weights_of(nlp):
    net = get_shim(nlp.get_pipe("textcat").model).net
    return {name: p.detach().clone() for name, p in net.named_parameters()}


@pytest.mark.parametrize("layers", [0, 1, 3, 4, None])
def test_layers_that_are_trained(folder, layers):
    nlp = make_classifier(folder, encoder={"train_layers": layers})
    before = weights_of(nlp)
    train(nlp, 3)
    changed = {n for n, value in weights_of(nlp).items() if not torch.equal(value, before[n])}
    numbers = {int(n.split("layer.")[1][0]) for n in changed if "layer." in n}
    assert numbers == set(range(3 - min(3, 3 if layers is None else layers), 3))
    assert any("embeddings" in n for n in changed) == (layers in (4, None))
    assert any(n.startswith("head") for n in changed)


def test_cached_training_is_the_same(folder):
    """The cache changes no weights, in memory or on disk, nor when it is full."""
    found = []
    for cache in ({"cache": "none"}, {"cache": "memory"}, {"cache": "disk"}, {"cache_size": 0.001}):
        nlp = make_classifier(folder, encoder={"train_layers": 1, **cache})
        train(nlp, 5, drop=0.2)
        found.append(weights_of(nlp))
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-4)


def test_the_cache_is_of_the_present_weights(folder, tmp_path):
    """Other weights that are loaded into a pipeline that was trained have other features."""
    other = make_folder(tmp_path / "other", seed=5)
    data = make_classifier(other, encoder={"train_layers": 0}).to_bytes()
    found = []
    for steps in (0, 2):
        nlp = make_classifier(folder, encoder={"train_layers": 0})
        examples = make_labelled(nlp)
        optimizer = nlp.create_optimizer()
        for _ in range(steps):
            nlp.update(examples, sgd=optimizer)
        nlp.from_bytes(data)
        optimizer = nlp.create_optimizer()
        for _ in range(5):
            nlp.update(examples, sgd=optimizer, drop=0.0)
        found.append(weights_of(nlp))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-5, rtol=1e-4)


def test_gradual_unfreezing(folder):
    schedule = {"@schedules": "spacy-seqgen.gradual_unfreezing.v1", "every": 2}
    nlp = spacy.blank("en")
    pipe = add_classifier(nlp, folder, encoder={"train_layers": schedule})
    optimizer = nlp.initialize(lambda: make_labelled(nlp))
    frozen = []
    for _ in range(10):
        nlp.update(make_labelled(nlp), sgd=optimizer)
        frozen.append(get_shim(pipe.model).net.frozen)
    assert frozen == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


def test_a_schedule_and_copies(folder):
    """A copy predicts the same; without its schedule it says so, rather than train nothing."""
    schedule = {"@schedules": "spacy-seqgen.gradual_unfreezing.v1", "every": 1}
    nlp = make_classifier(folder, encoder={"train_layers": schedule})
    copied = pickle.loads(pickle.dumps(nlp))
    nlp.resume_training()  # which copies models
    assert scores(copied, ["a film"]) == scores(nlp, ["a film"])
    with pytest.raises(ValueError, match="The schedule of train_layers is not in a copy"):
        copied.update(make_labelled(copied), sgd=copied.create_optimizer())
    assert nlp.update(make_labelled(nlp), sgd=nlp.create_optimizer())["textcat"] > 0
    model = copy.deepcopy(nlp.get_pipe("textcat").model)
    assert model.attrs["trained_layers"].frozen_parts(0, 3) == 4


def test_learning_rates_apart(folder):
    """The first update of Adam moves each weight by the learning rate."""
    encoder = {"learn_rate": 0.5, "layer_decay": 0.1, "dropout": 0.0}
    nlp = make_classifier(folder, encoder=encoder)
    before = weights_of(nlp)
    examples = make_labelled(nlp)
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate, optimizer.L2, optimizer.grad_clip = 0.01, 0.0, 0.0
    nlp.update(examples, sgd=optimizer)
    after = weights_of(nlp)
    for name, rate in {
        "head.output.weight": 0.01,
        "encoder.model.encoder.layer.2.output.dense.weight": 0.005,
        "encoder.model.encoder.layer.1.output.dense.weight": 0.0005,
        "encoder.model.embeddings.LayerNorm.weight": 0.000005,
    }.items():
        moved = (after[name] - before[name]).abs().max().item()
        assert moved == pytest.approx(rate, rel=0.05), name


def test_averages_of_what_is_trained_later(folder):
    """An average that begins late begins at the weight, not at zero."""
    schedule = {"@schedules": "spacy-seqgen.gradual_unfreezing.v1", "every": 5}
    nlp = spacy.blank("en")
    add_classifier(nlp, folder, encoder={"train_layers": schedule})
    examples = make_labelled(nlp)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.averages = {}
    optimizer.learn_rate = 1e-6
    for _ in range(30):
        nlp.update(examples, sgd=optimizer)
    now = weights_of(nlp)
    with nlp.use_params(optimizer.averages):
        averaged = weights_of(nlp)
    name = "encoder.model.encoder.layer.0.output.dense.weight"
    torch.testing.assert_close(averaged[name], now[name], atol=1e-4, rtol=1e-3)


# Long texts and explanations


def test_long_texts_are_read_to_the_end(folder):
    nlp = make_classifier(folder, encoder={"window": 12, "stride": 8})
    pieces = get_pieces(nlp.get_pipe("textcat").model)
    windows = pieces(["good " * 33, "bad"])
    assert windows.counts == [4, 1]
    assert [len(ids) for ids in windows.ids] == [12, 12, 12, 11, 3]
    assert list(map(len, pieces.offsets("good " * 33))) == [12, 12, 12, 11]
    one, two = scores(nlp, ["good " * 200 + "bad", "good " * 201])
    assert one != two


def test_the_window_fits_the_encoder(folder):
    """Of 40 positions, two of them for special symbols."""
    nlp = make_classifier(folder)
    assert get_pieces(nlp.get_pipe("textcat").model).room == 38
    roberta = make_classifier(make_folder(folder / "roberta", "roberta"))
    assert get_pieces(roberta.get_pipe("textcat").model).room == 37
    assert scores(roberta, ["good " * 100])


@pytest.mark.parametrize("method", ["gradient", "attention"])
def test_explanations(folder, method):
    nlp = make_classifier(folder, pooling="attention", encoder={"window": 12, "stride": 8})
    train(nlp, 10)
    nlp.add_pipe("cats_explainer", config={"method": method, "threshold": 0.0})
    doc = nlp("the plot is bad")
    assert doc._.cats_attribution.keys() == {"pos", "neg"}
    assert all(found.shape == (4,) for found in doc._.cats_attribution.values())
    if method == "attention":
        assert 0 < doc._.cats_attribution["neg"].sum() < 1
    long = nlp("the film " * 30 + "was unheardof , bad")
    assert long._.cats_attribution["neg"].shape == (64,)
    for text in ("", " ", "☃"):
        assert len(nlp(text)._.cats_attribution.get("neg", np.zeros(len(text)))) == len(nlp(text))
    copied = spacy.tokens.Doc(nlp.vocab).from_bytes(doc.to_bytes())
    assert (copied._.cats_attribution["neg"] == doc._.cats_attribution["neg"]).all()


def test_pieces_that_begin_with_a_space(folder, tmp_path):
    """Of Metaspace (and ByteLevel untrimmed), the space before a word is in its piece."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    other = shutil.copytree(folder, tmp_path / "encoder")
    vocabulary = [("[UNK]", 0.0), *(("▁" + word, -1.0) for word in "a good film the".split())]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert tokenizer.encode("a good").offsets == [(0, 1), (1, 6)]
    tokenizer.save(str(other / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (other / "tokenizer_config.json").write_text(json.dumps(config))
    nlp = make_classifier(other)
    model = nlp.get_pipe("textcat").model
    doc = nlp("a good film")
    (found,) = explain(model, doc, [1], "gradient")
    (ids,) = get_pieces(model)([doc.text]).ids
    pieces = get_shim(model).net.eval().gradients([ids], 1)
    assert (found != 0).all()
    np.testing.assert_allclose(found, pieces, atol=1e-6)


def test_gradients_of_explanations(folder):
    """Finite differences say the same."""
    nlp = make_classifier(folder)
    model = nlp.get_pipe("textcat").model
    net = get_shim(model).net.eval()
    windows = get_pieces(model)(["a good film"]).ids
    found = net.gradients(windows, 1)
    table = net.encoder.embed
    factors = torch.ones(len(windows[0]), 1)
    net.encoder.embed = lambda ids, packing: table(ids, packing) * factors
    slopes = []
    for place in range(len(windows[0])):
        values = []
        for step in (1e-2, -1e-2):
            factors[place] = 1 + step
            with torch.inference_mode():
                values.append(net(windows, [1])[0][0, 1].item())
        factors[place] = 1
        slopes.append((values[0] - values[1]) / 2e-2)
    np.testing.assert_allclose(found, slopes, atol=2e-3)


def test_explanations_that_can_not_be(folder):
    nlp = make_classifier(folder)
    with pytest.raises(ValueError, match="which is not there"):
        nlp.add_pipe("cats_explainer", config={"component": "other"})
    for wrong in ({"method": "magic"}, {"threshold": 2.0}):
        with pytest.raises(ValueError, match="must be"):
            nlp.add_pipe("cats_explainer", config=wrong)
    nlp.add_pipe("cats_explainer", config={"method": "attention"})
    with pytest.raises(ValueError, match='needs pooling = "attention"'):
        nlp("a film")
    other = spacy.blank("en")
    other.add_pipe("textcat").add_label("a")
    other.get_pipe("textcat").add_label("b")
    other.add_pipe("cats_explainer")
    other.initialize()
    with pytest.raises(ValueError, match=r"Only spacy-seqgen\.TransformerTextCat\.v1"):
        other("a film")


@pytest.mark.parametrize("method,pooling", [("gradient", "mean"), ("attention", "attention")])
def test_explanations_of_vectors_that_others_make(method, pooling):
    nlp = spacy.blank("en")
    tokens = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None}
    sizes = {"width": 8, "depth": 1, "embed_size": 50, "window_size": 1, "maxout_pieces": 2}
    block = {"@architectures": "spacy-seqgen.TransformerTextCat.v1", "exclusive_classes": True}
    model = {**block, "pooling": pooling, "encoder": {**tokens, **sizes, "subword_features": True}}
    nlp.add_pipe("textcat", config={"model": model})
    train(nlp, 3)
    nlp.add_pipe("cats_explainer", config={"method": method, "threshold": 0.0})
    doc = nlp("a very good film")
    pipe = nlp.get_pipe("textcat")
    one, two = (doc._.cats_attribution[label] for label in pipe.labels)
    assert one.shape == two.shape == (4,) and one.dtype == np.float32
    if method == "attention":
        assert one.sum() == pytest.approx(1, abs=1e-5) and (one == two).all()
        return
    # The mean and the layer above it are linear: what the tokens say adds up.
    bias = get_shim(pipe.model).net.head.output.bias.detach().numpy()
    logits = np.log([doc.cats[label] for label in pipe.labels])
    found = np.array([one.sum(), two.sum()]) + bias
    assert found[0] - found[1] == pytest.approx(logits[0] - logits[1], abs=1e-4)


# Encoders of others


WINDOW = {"window": 20, "stride": 15}


def transformer_model(folder):
    return {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": str(folder),
        "get_spans": {"@span_getters": "spacy-transformers.strided_spans.v1", **WINDOW},
        "tokenizer_config": {"use_fast": True},
    }


LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "pooling": {"@layers": "reduce_mean.v1"},
}


@pytest.mark.filterwarnings("ignore")  # those of spacy-transformers
@pytest.mark.parametrize(
    "kind,pooling", [("listener", "mean"), ("inside", "attention"), ("tok2vec", "max")]
)
def test_encoders_of_others(folder, tmp_path, kind, pooling):
    def make(seed, steps):
        nlp = spacy.blank("en")
        encoder = LISTENER if kind == "listener" else transformer_model(folder)
        if kind == "listener":
            nlp.add_pipe("transformer", config={"model": transformer_model(folder)})
        if kind == "tok2vec":
            encoder = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 16, "depth": 1}
            encoder |= {"embed_size": 50, "window_size": 1, "maxout_pieces": 2}
            encoder |= {"subword_features": False, "pretrained_vectors": None}
        block = {
            "@architectures": "spacy-seqgen.TransformerTextCat.v1",
            "exclusive_classes": True,
            "encoder": encoder,
            "pooling": pooling,
        }
        nlp.add_pipe("textcat", config={"model": block})
        return nlp, train(nlp, steps, seed=seed)

    nlp, losses = make(0, 60)
    assert losses["textcat"] < 0.05
    texts = ["a good film", "", "the plot is bad"]
    found = scores(nlp, texts)
    np.testing.assert_allclose(scores(nlp, texts, batch_size=1), found, atol=1e-5)
    other, _ = make(5, 0)
    assert scores(other.from_bytes(nlp.to_bytes()), texts) == found


# Quantized


def test_quantized(folder, tmp_path):
    from typer.testing import CliRunner

    from spacy_seqgen.cli import app

    nlp = make_classifier(folder, steps=20)
    nlp.to_disk(tmp_path / "model")
    command = ["quantize", str(tmp_path / "model"), str(tmp_path / "int8")]
    assert CliRunner().invoke(app, command).exit_code == 0
    small = spacy.load(tmp_path / "int8")
    texts = [text for text, _ in TEXTS]
    exact, rounded = np.array(scores(nlp, texts)), np.array(scores(small, texts))
    assert 0 < np.abs(exact - rounded).max() < 0.1
    assert scores(
        spacy.blank("en").from_config(small.config).from_bytes(small.to_bytes()), texts
    ) == (scores(small, texts))
    with pytest.raises(ValueError, match="was quantized"):
        small.update(make_labelled(small))
    small.add_pipe("cats_explainer")
    with pytest.raises(ValueError, match="has no gradients"):
        small("a film")
    again = ["quantize", str(tmp_path / "int8"), str(tmp_path / "again")]
    assert CliRunner().invoke(app, again).exit_code == 1
    assert CliRunner().invoke(app, [*command[:2], command[1]]).exit_code == 1


def test_predictions_in_bf16(folder, monkeypatch):
    """Nearly the same; and in 8 bits exactly, as nothing is computed in bf16 then."""
    for name in ("supports_bf16", "prefers_bf16"):
        monkeypatch.setattr(precision, name, lambda device: True)
    nlp = make_classifier(folder, steps=20)
    fast = make_classifier(folder, seed=7, predict_precision="auto").from_bytes(nlp.to_bytes())
    texts = [text for text, _ in TEXTS]
    exact = np.array(scores(nlp, texts))
    with computing_bf16():
        rounded = np.array(scores(fast, texts))
    assert 0 < np.abs(exact - rounded).max() < 0.02
    for made in (nlp, fast):
        assert quantize(made.get_pipe("textcat").model)
    assert scores(fast, texts) == scores(nlp, texts)


def test_several_processes(folder):
    nlp = make_classifier(folder)
    texts = [text for text, _ in TEXTS] * 3
    np.testing.assert_allclose(
        scores(nlp, texts, n_process=2, batch_size=4), scores(nlp, texts), atol=1e-5
    )


def test_an_example_without_tokens_is_harmless(folder):
    nlp = make_classifier(folder)
    fix_random_seed(0)
    examples = make_labelled(nlp, [*TEXTS[:2], ("", "pos")])
    assert nlp.update(examples, sgd=nlp.create_optimizer())["textcat"] > 0
    empty = [Example(nlp.make_doc(""), eg.reference) for eg in make_labelled(nlp, [("", "pos")])]
    nlp.update(empty, sgd=nlp.create_optimizer())


def test_dropout_of_the_encoder_from_the_first_update_on(folder):
    """Encoders are loaded in the mode of predictions."""
    nlp = make_classifier(folder, steps=1)
    net = nlp.get_pipe("textcat").model.shims[0].net
    assert all(part.training for part in net.modules())


def test_a_pipeline_without_transformers_says_what_to_install(tmp_path, monkeypatch):
    """And not that its file is damaged."""
    make_classifier(make_folder(tmp_path / "encoder")).to_disk(tmp_path / "nlp")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="need transformers: pip install") as caught:
        spacy.load(tmp_path / "nlp")
    assert "damaged" not in str(caught.value)
