import copy
import pickle

import numpy as np
import pytest
import srsly
import torch
from thinc.api import Adam, Model, PyTorchWrapper_v3, set_dropout_rate

from spacy_seqgen.models import precision
from spacy_seqgen.models.language_model import LanguageBatch, build_recurrent_lm
from spacy_seqgen.models.shim import TorchShim

from ..util import computing_bf16


def make(seed=0, size=12, **options) -> Model:
    torch.manual_seed(seed)
    model = build_recurrent_lm(embedding_size=5, hidden_size=8, **options)
    model.set_dim("nO", size)
    model.initialize()
    return model


def make_batch(rows=3, columns=6):
    ids = np.random.default_rng(0).integers(4, 12, (rows, columns + 1))
    return LanguageBatch(ids[:, :-1], ids[:, 1:], np.full(rows, columns))


def train(model, optimizer, steps=1, batch=None):
    for _ in range(steps):
        (losses, _), backprop = model.begin_update(batch or make_batch())
        backprop(np.full_like(losses, 1 / 18))
        model.finish_update(optimizer)
    return losses


def state(model):
    return {k: v.clone() for k, v in model.shims[0].net.state_dict().items()}


def assert_same(one, other):
    assert all(torch.equal(one[name], other[name]) for name in one)


def assert_differ(one, other):
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_model_learns():
    model = make()
    optimizer = Adam(0.02)
    first = train(model, optimizer).sum()
    assert train(model, optimizer, steps=60).sum() < 0.2 * first


def test_bytes_go_into_a_model_of_another_seed():
    model, other = make(0), make(1)
    train(model, Adam(0.01), 3)
    assert_differ(state(model), state(other))
    other.from_bytes(model.to_bytes())
    assert_same(state(model), state(other))
    batch = make_batch()
    assert torch.equal(model.predict(batch).nll, other.predict(batch).nll)


def test_disk_round_trip(tmp_path):
    model, other = make(0), make(1)
    model.to_disk(tmp_path / "model")
    other.from_disk(tmp_path / "model")
    assert_same(state(model), state(other))


def test_bytes_of_thincs_own_wrapper_are_refused():
    wrapped = PyTorchWrapper_v3(make().shims[0].net)
    old = wrapped.shims[0].to_bytes()
    with pytest.raises(ValueError, match="pickle"):
        make().shims[0].from_bytes(old)
    with pytest.raises(ValueError, match=r"spacy-seqgen\.weights\.v1"):
        make().shims[0].from_bytes(srsly.msgpack_dumps(["x"]))


def test_precision_and_dropout_are_not_overwritten_by_what_is_loaded():
    model, other = make(0, precision="fp32"), make(1, precision="auto", dropout=0.3)
    other.from_bytes(model.to_bytes())
    assert other.shims[0].precision == "auto"
    assert other.attrs["settings"].dropout == 0.3


def test_modes():
    model = make(dropout=0.5)
    shim = model.shims[0]
    batch = make_batch()
    assert torch.equal(model.predict(batch).nll, model.predict(batch).nll)
    assert not shim.net.training
    one, _ = model.begin_update(batch)
    other, _ = model.begin_update(batch)
    assert shim.net.training
    assert not np.array_equal(one[0], other[0])


def test_drop_reaches_the_module():
    model = make(num_layers=2)
    set_dropout_rate(model, 0.25)
    model.begin_update(make_batch())
    net = model.shims[0].net
    assert (net.dropout.p, net.rnn.dropout) == (0.25, 0.25)
    fixed = make(num_layers=2, dropout=0.1)
    set_dropout_rate(fixed, 0.25)
    fixed.begin_update(make_batch())
    assert fixed.shims[0].net.dropout.p == 0.1


def test_use_params_swaps_and_restores():
    model = make()
    optimizer = Adam(0.05, use_averages=True)
    train(model, optimizer, 5)
    raw, batch = state(model), make_batch()
    before = model.predict(batch).nll
    with model.use_params(optimizer.averages):
        inside = state(model)
        assert_differ(raw, inside)
        key = model.shims[0].id
        for name, parameter in model.shims[0].net.named_parameters():
            assert torch.equal(parameter, optimizer.averages[key, name])
        assert not torch.equal(model.predict(batch).nll, before)
    assert_same(raw, state(model))
    assert torch.equal(model.predict(batch).nll, before)
    with model.use_params({}):
        assert_same(raw, state(model))


def test_use_params_restores_after_an_error():
    model = make()
    optimizer = Adam(0.05, use_averages=True)
    train(model, optimizer, 2)
    raw = state(model)
    with pytest.raises(RuntimeError), model.use_params(optimizer.averages):
        raise RuntimeError
    assert_same(raw, state(model))


def test_gradients_add_up_over_parts_of_a_batch():
    whole, parts = make(), make()
    batch = make_batch(4)
    (losses, _), backprop = whole.begin_update(batch)
    backprop(np.ones_like(losses))
    for rows in (slice(0, 2), slice(2, 4)):
        part = LanguageBatch(batch.inputs[rows], batch.targets[rows], batch.lengths[rows])
        (losses, _), backprop = parts.begin_update(part)
        backprop(np.ones_like(losses))
    for one, other in zip(
        whole.shims[0].net.parameters(), parts.shims[0].net.parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, other.grad)


def test_copies_and_pickles_leave_the_optimizer_behind():
    shim = make().shims[0]
    train_model = make()
    optimizer = Adam(iter([0.1, 0.1]))  # a schedule can't be pickled
    train(train_model, optimizer)
    shim = train_model.shims[0]
    for twin in (copy.deepcopy(shim), pickle.loads(pickle.dumps(shim))):
        assert isinstance(twin, TorchShim)
        assert twin.native.source is None
        assert_same(twin.net.state_dict(), shim.net.state_dict())


def test_bf16_trains_and_leaves_fp32_weights(monkeypatch):
    monkeypatch.setattr(precision, "supports_bf16", lambda device: True)
    model, exact = make(precision="bf16"), make(precision="fp32")
    with computing_bf16():
        losses = train(model, Adam(0.02), steps=40)
    expected = train(exact, Adam(0.02), steps=40)
    assert losses.sum() == pytest.approx(expected.sum(), rel=0.1)
    assert losses.dtype == np.float32
    assert all(item.dtype == torch.float32 for item in model.shims[0].net.parameters())


@pytest.mark.parametrize("options", [{"hidden_size": 0}, {"embedding_size": -1}, {"num_layers": 0}])
def test_sizes_are_checked(options):
    (name,) = options
    with pytest.raises(ValueError, match=name):
        build_recurrent_lm(**options)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"cell": "rnn"}, "cell"),
        ({"precision": "fp64"}, "precision"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        build_recurrent_lm(**options)
