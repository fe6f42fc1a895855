import numpy as np
import pytest
import torch
from transformers import AutoModel

from spacy_seqgen.models.precision import computing_in
from spacy_seqgen.modules.classifier_head import ClassifierHead
from spacy_seqgen.modules.packing import Packing
from spacy_seqgen.modules.pretrained_encoder import (
    PackedBert,
    PretrainedEncoder,
    make_encoder,
    set_dropout,
)
from spacy_seqgen.modules.quantized import QuantizedLinear
from spacy_seqgen.modules.text_classifier import TextClassifier

from ..classifiers import make_folder

WINDOWS = [np.array([2, *ids, 3]) for ids in ([5, 6], [], [7, 8, 9, 10, 5, 5, 6], [11], [5] * 20)]


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def model(request, tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp(request.param), request.param)
    return AutoModel.from_pretrained(folder).eval()


def expected_states(model, windows):
    """Each sequence alone, as transformers computes it."""
    with torch.inference_mode():
        return torch.cat(
            [model(torch.from_numpy(ids)[None]).last_hidden_state[0] for ids in windows]
        )


def test_encoders_compute_what_transformers_does(model):
    encoder = make_encoder(model)
    assert isinstance(encoder, PackedBert) == (model.config.model_type != "distilbert")
    packing = Packing([len(ids) for ids in WINDOWS], torch.device("cpu"))
    ids = torch.from_numpy(np.concatenate(WINDOWS))
    with torch.inference_mode():
        embedded = encoder.embed(ids, packing)
        found = encoder.run(embedded, packing, 0, 3)
        first = encoder.run(embedded, packing, 0, 3, first_only=True)
    expected = expected_states(model, WINDOWS)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first, expected[packing.starts], atol=1e-5, rtol=1e-5)


def classifier(model, pooling="mean", **settings):
    torch.manual_seed(0)
    width = model.config.hidden_size
    return TextClassifier(
        make_encoder(model), ClassifierHead(width, 2, pooling), **{"batch_size": 64, **settings}
    )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_gradients_are_those_of_transformers(model, pooling):
    """Of the padded model of transformers, with the same head, in training mode without dropout."""
    net = classifier(model, pooling)
    set_dropout(net.encoder, 0.0)
    net.train()
    (logits,) = net(WINDOWS[:4], [1, 1, 1, 1])
    logits[:, 0].sum().backward()
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    net.eval()
    states = [model(torch.from_numpy(ids)[None]).last_hidden_state[0] for ids in WINDOWS[:4]]
    rows = [item.mean(0) if pooling == "mean" else item[0] for item in states]
    net.head(torch.stack(rows))[:, 0].sum().backward()
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            # The bias of the keys changes nothing: none is needed where there are no keys.
            none = torch.zeros_like(parameter) if name.endswith("key.bias") else None
            ours = found.pop(name, none)
            torch.testing.assert_close(ours, parameter.grad, atol=1e-5, rtol=1e-4)
    assert not found
    net.zero_grad()


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention"])
def test_results_do_not_depend_on_the_batch(model, pooling):
    net = classifier(model, pooling).eval()
    with torch.inference_mode():
        (together,) = net(WINDOWS, [1, 1, 2, 1])
        alone = torch.cat([net(WINDOWS[:1], [1])[0], net(WINDOWS[1:2], [1])[0]])
        alone = torch.cat([alone, net(WINDOWS[2:4], [2])[0], net(WINDOWS[4:], [1])[0]])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_small_batches_give_the_same_gradients(model):
    """Activations that are computed a second time are the same, dropout included."""
    gradients = []
    for size in (1, 10_000):
        net = classifier(model, batch_size=size)
        set_dropout(net.encoder, 0.0)
        net.train()
        net(WINDOWS, [1, 4])[0][:, 1].sum().backward()
        gradients.append({n: p.grad for n, p in net.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4)


class Cache(dict):
    def put(self, key, value):
        self[key] = value


@pytest.mark.parametrize("pooling", ["cls", "mean", "attention"])
@pytest.mark.parametrize("frozen", [1, 2, 4])
def test_frozen_parts_are_computed_once(model, pooling, frozen, monkeypatch):
    cached, plain = classifier(model, pooling, cache=Cache()), classifier(model, pooling)
    plain.load_state_dict(cached.state_dict())
    for net in (cached, plain):
        net.freeze(frozen)
        set_dropout(net.encoder, 0.0)
    results = []
    for net in (cached, cached, plain):
        net.zero_grad()
        net.train()
        (logits,) = net(WINDOWS, [1, 1, 1, 2])
        logits[:, 0].sum().backward()
        results.append(
            (logits, {n: p.grad for n, p in net.named_parameters() if p.grad is not None})
        )
    splits = isinstance(cached.encoder, PackedBert) or frozen == 4
    assert len(cached.cache) == (len(WINDOWS) if splits else 0)
    for logits, gradients in results[:2]:
        torch.testing.assert_close(logits, results[2][0], atol=1e-5, rtol=1e-5)
        assert gradients.keys() == results[2][1].keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, results[2][1][name], atol=1e-5, rtol=1e-4)
    trained = {name for name, p in cached.named_parameters() if p.requires_grad}
    assert not any("embeddings" in name for name in trained)
    assert any(f"layer.{frozen - 1}." in name for name in trained) == (frozen < 4)
    assert not any(f"layer.{frozen - 2}." in name for name in trained)
    if frozen == 4:
        monkeypatch.setattr(cached.encoder, "run", None)  # not called any more
        cached(WINDOWS, [1, 1, 1, 2])
    cached.freeze(0)
    assert not cached.cache
    assert all(parameter.requires_grad for parameter in cached.parameters())


def test_frozen_layers_have_no_dropout(model):
    net = classifier(model)
    net.freeze(2)
    net.train()
    assert not any(m.training for m in net.encoder.layers[0].modules())
    assert all(m.training for m in net.encoder.layers[1].modules())


def test_learn_rate_factors(model):
    net = classifier(model, learn_rate=0.5, layer_decay=0.1)
    factors = net.learn_rate_factors()
    for name, _ in net.named_parameters():
        if name.startswith("head"):
            assert name not in factors
        elif "embeddings" in name:
            assert factors[name] == pytest.approx(0.5 * 0.1**3)
        elif "layer.2." in name:
            assert factors[name] == pytest.approx(0.5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "attention"])
def test_bfloat16(model, pooling):
    """Emulated here, where the processor has none: the same, roughly, with gradients in fp32."""
    net = classifier(model, pooling)
    set_dropout(net.encoder, 0.0)
    net.train()
    (exact,) = net(WINDOWS, [1, 1, 2, 1])
    with computing_in("bf16", torch.device("cpu")):
        (rough,) = net(WINDOWS, [1, 1, 2, 1])
    rough.float().sum().backward()
    assert 0 < (exact - rough).abs().max() < 0.1
    assert {p.grad.dtype for p in net.parameters() if p.grad is not None} == {torch.float32}


def test_an_encoder_needs_layers():
    with pytest.raises(ValueError, match="has no layers"):
        PretrainedEncoder(torch.nn.Linear(2, 2))


def test_quantized_layers_are_close():
    torch.manual_seed(0)
    for bias in (True, False):
        layer = torch.nn.Linear(64, 32, bias=bias)
        inputs = torch.randn(10, 64)
        with torch.inference_mode():
            exact, rounded = layer(inputs), QuantizedLinear(layer)(inputs)
        assert 0 < (exact - rounded).abs().max() < 0.05
