import math

import numpy as np
import pytest
import torch
from thinc.api import SGD, Adam, RAdam
from torch import nn

from spacy_seqgen.models.optimizer import NativeStep


class Net(nn.Module):
    def __init__(self, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, 4, padding_idx=0)
        self.linear = nn.Linear(4, 5)
        self.norm = nn.LayerNorm(5)
        if tied:
            self.linear.weight = self.embedding.weight

    def forward(self, ids):
        return self.norm(self.linear(self.embedding(ids))).square().sum()


def weights(net):
    return {name: item.detach().clone() for name, item in net.named_parameters()}


def step_once(net, step, optimizer, scale=1.0):
    (net(torch.tensor([1, 2, 3])) * scale).backward()
    grads = {name: p.grad.clone() for name, p in net.named_parameters()}
    step.step(optimizer)
    return grads


@pytest.mark.parametrize(
    "make,reference",
    [
        (
            lambda: Adam(0.01, beta1=0.8, beta2=0.95, eps=1e-6, L2=0.0, grad_clip=0.0),
            lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-6),
        ),
        (lambda: SGD(0.1, L2=0.0, grad_clip=0.0), lambda p: torch.optim.SGD(p, 0.1)),
        (lambda: RAdam(0.01, L2=0.0, grad_clip=0.0), lambda p: torch.optim.RAdam(p, 0.01)),
    ],
)
def test_updates_are_those_of_pytorch(make, reference):
    ours, theirs = Net(), Net()
    step, optimizer, other = NativeStep(ours, 1), make(), reference(theirs.parameters())
    for _ in range(8):
        step_once(ours, step, optimizer)
        theirs(torch.tensor([1, 2, 3])).backward()
        other.step()
        other.zero_grad()
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(theirs)[name], msg=name)


def test_adam_agrees_with_thinc():
    """Without clipping and decay, the mathematics are Thinc's own. (But for eps, which
    PyTorch adds after the correction of the bias.)"""
    net = Net()
    settings = {"L2": 0.0, "grad_clip": 0.0, "use_averages": False, "eps": 1e-12}
    step, native, thinc = NativeStep(net, 1), Adam(0.01, **settings), Adam(0.01, **settings)
    mirror = {name: value.numpy() for name, value in weights(net).items()}
    for _ in range(5):
        grads = step_once(net, step, native)
        for name in mirror:
            grad = np.ascontiguousarray(grads[name].numpy())
            mirror[name], _ = thinc((0, name), mirror[name].copy(), grad)
    for name, value in weights(net).items():
        np.testing.assert_allclose(value.numpy(), mirror[name], atol=1e-4, err_msg=name)


def test_clipping_is_by_global_norm():
    net = Net()
    before = weights(net)
    optimizer = SGD(1.0, L2=0.0, grad_clip=0.5)
    grads = step_once(net, NativeStep(net, 1), optimizer, scale=100.0)
    norm = math.sqrt(sum(float(g.square().sum()) for g in grads.values()))
    assert norm > 5
    for name, value in weights(net).items():
        torch.testing.assert_close(before[name] - value, grads[name] * (0.5 / norm), msg=name)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("decoupled", [True, False])
def test_decay_spares_biases_norms_and_padding(tied, decoupled):
    net = Net(tied)
    with torch.no_grad():
        net.embedding.weight[0] = 3.0  # as in a pre-trained table
        net.linear.bias.fill_(2.0)
    before = weights(net)
    optimizer = SGD(0.1, L2=0.5, grad_clip=0.0, L2_is_weight_decay=decoupled)
    step = NativeStep(net, 1)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    step.step(optimizer)
    after = weights(net)
    for name in ("linear.bias", "norm.weight", "norm.bias"):
        assert torch.equal(after[name], before[name]), name
    torch.testing.assert_close(after["embedding.weight"][1:], before["embedding.weight"][1:] * 0.95)
    padding_decays = not torch.equal(after["embedding.weight"][0], before["embedding.weight"][0])
    assert padding_decays == tied  # a tied row is a weight of the softmax


def test_schedules_are_followed():
    net = Net()
    step, optimizer = NativeStep(net, 1), SGD(iter([1.0, 0.1, 0.0]), L2=0.0, grad_clip=0.0)
    moved = []
    for _ in range(4):
        before = weights(net)
        grads = step_once(net, step, optimizer)
        name = "linear.bias"
        moved.append(float((before[name] - weights(net)[name]).norm() / grads[name].norm()))
        optimizer.step_schedules()
    assert moved == pytest.approx([1.0, 0.1, 0.0, 0.0], abs=1e-4)


def test_averages_follow_thincs_formula():
    net = Net()
    step, optimizer = NativeStep(net, 7), SGD(0.1, L2=0.0, grad_clip=0.0, use_averages=True)
    expected = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for n in range(1, 6):
        step_once(net, step, optimizer)
        for name, value in weights(net).items():
            decay = min((1 + n) / (10 + n), 0.9999)
            expected[name] -= (1 - decay) * (expected[name] - value)
    for name, value in expected.items():
        torch.testing.assert_close(optimizer.averages[7, name], value)


def test_no_averages_unless_asked():
    net = Net()
    optimizer = SGD(0.1, use_averages=False)
    step_once(net, NativeStep(net, 1), optimizer)
    assert optimizer.averages is None


def test_another_optimizer_begins_with_empty_moments():
    net, twin = Net(), Net()
    step = NativeStep(net, 1)
    step_once(net, step, Adam(0.01))
    step_once(net, step, Adam(0.01))
    twin.load_state_dict(net.state_dict())
    step_once(net, step, Adam(0.01))
    step_once(twin, NativeStep(twin, 1), Adam(0.01))
    for name, value in weights(net).items():
        assert torch.equal(value, weights(twin)[name])


def test_frozen_parameters_stay():
    net = Net()
    net.linear.weight.requires_grad_(False)
    before = weights(net)
    optimizer = Adam(0.01, use_averages=True)
    net(torch.tensor([1, 2])).backward()
    NativeStep(net, 1).step(optimizer)
    assert torch.equal(weights(net)["linear.weight"], before["linear.weight"])
    assert not torch.equal(weights(net)["linear.bias"], before["linear.bias"])
    assert (1, "linear.weight") not in optimizer.averages


def test_gradients_are_gone_after_a_step_and_none_means_none():
    net = Net()
    step = NativeStep(net, 1)
    step_once(net, step, Adam(0.01))
    before = weights(net)
    step.step(Adam(0.01))  # nothing to do
    assert all(torch.equal(value, before[name]) for name, value in weights(net).items())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("grad_clip", [0.0, 1.0])
def test_gradients_that_are_not_finite_stop_before_the_weights(value, grad_clip):
    net = Net()
    before = weights(net)
    net(torch.tensor([1])).backward()
    net.linear.bias.grad[0] = value
    with pytest.raises(ValueError, match="not finite"):
        NativeStep(net, 1).step(Adam(0.01, grad_clip=grad_clip))
    assert all(torch.equal(item, before[name]) for name, item in weights(net).items())


@pytest.mark.parametrize("make", [lambda: Adam(0.01), lambda: RAdam(0.01), lambda: SGD(0.01)])
def test_state_round_trip(make):
    net, twin = Net(), Net()
    step, optimizer = NativeStep(net, 1), make()
    for _ in range(3):
        step_once(net, step, optimizer)
    twin.load_state_dict(net.state_dict())
    other, fresh = NativeStep(twin, 1), make()
    other.load_state(step.state(), fresh)
    for _ in range(3):
        step_once(net, step, optimizer)
        step_once(twin, other, fresh)
    for name, value in weights(net).items():
        assert torch.equal(value, weights(twin)[name]), name
    assert step.updates == other.updates == 6


def test_state_that_does_not_fit_is_refused():
    step = NativeStep(Net(), 1)
    with pytest.raises(ValueError, match="does not fit"):
        step.load_state({"nothing/exp_avg": torch.zeros(3)}, Adam(0.01))
    with pytest.raises(ValueError, match="does not fit"):
        step.load_state({"linear.bias/exp_avg": torch.zeros(3)}, Adam(0.01))
