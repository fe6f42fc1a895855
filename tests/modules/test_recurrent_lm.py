import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spacy_seqgen.modules.recurrent_lm import RecurrentLM


def make(seed=0, **options):
    torch.manual_seed(seed)
    sizes = {"embedding_size": 6, "hidden_size": 10, **options}
    return RecurrentLM(15, **sizes)


def random_ids(*shape):
    return torch.randint(4, 15, shape, generator=torch.Generator().manual_seed(1))


VARIANTS = [
    {},
    {"cell": "gru"},
    {"num_layers": 2},
    {"cell": "gru", "num_layers": 3},
    {"tied": True},
    {"tied": True, "embedding_size": 10},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_losses_are_those_of_a_loop_by_hand(options):
    net = make(**options).eval()
    inputs, targets = random_ids(3, 7), random_ids(3, 7)
    targets[1, 5:] = 0
    losses, _ = net(inputs, targets, net.start(3))
    state, total = net.start(3), torch.zeros(3)
    for t in range(7):
        logits, state = net.step(state, inputs[:, t])
        total += F.cross_entropy(logits, targets[:, t], ignore_index=0, reduction="none")
    torch.testing.assert_close(losses, total)


def test_losses_of_an_untrained_model():
    net = make()
    losses, _ = net(random_ids(4, 5), random_ids(4, 5), net.start(4))
    assert losses.shape == (4,)
    assert float(losses.detach().mean()) / 5 == pytest.approx(math.log(15), abs=0.3)


@pytest.mark.parametrize("options", VARIANTS)
def test_reading_in_pieces_is_reading_at_once(options):
    net = make(**options).eval()
    inputs, targets = random_ids(2, 9), random_ids(2, 9)
    whole = net.read(inputs, targets, torch.tensor([9, 9]), net.start(2))
    first = net.read(inputs[:, :4], targets[:, :4], torch.tensor([4, 4]), net.start(2))
    second = net.read(inputs[:, 4:], targets[:, 4:], torch.tensor([5, 5]), first.state)
    torch.testing.assert_close(torch.cat([first.nll, second.nll], 1), whole.nll)
    for one, other in zip(second.state, whole.state, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", VARIANTS)
def test_padding_changes_nothing(options):
    net = make(**options).eval()
    inputs, targets = random_ids(3, 8), random_ids(3, 8)
    lengths = torch.tensor([8, 3, 1])
    for row, length in enumerate(lengths):
        inputs[row, length:] = targets[row, length:] = 0
    together = net.read(inputs, targets, lengths, net.start(3))
    for row, length in enumerate(lengths):
        alone = net.read(
            inputs[row : row + 1, :length],
            targets[row : row + 1, :length],
            lengths[row : row + 1],
            net.start(1),
        )
        torch.testing.assert_close(together.nll[row, :length], alone.nll[0])
        assert (together.nll[row, length:] == 0).all()
        for one, other in zip(together.state, alone.state, strict=True):
            torch.testing.assert_close(one[row], other[0])


def test_correct_marks_the_most_probable():
    net = make().eval()
    inputs = random_ids(1, 6)
    state, best = net.start(1), []
    for t in range(6):
        logits, state = net.step(state, inputs[:, t])
        best.append(int(logits.argmax()))
    targets = torch.tensor([best])
    targets[0, 2] = (targets[0, 2] + 1) % 15
    reading = net.read(inputs, targets, torch.tensor([6]), net.start(1))
    assert reading.correct[0].tolist() == [True, True, False, True, True, True]


def test_state_is_detached():
    net = make()
    _, state = net(random_ids(2, 4), random_ids(2, 4), net.start(2))
    assert not any(item.requires_grad for item in state)


def test_tied_weights_are_one_parameter():
    net = make(tied=True, embedding_size=10)
    assert net.output.weight is net.embedding.weight
    assert isinstance(net.projection, nn.Identity)
    assert isinstance(make(tied=True).projection, nn.Linear)
    names = [name for name, _ in make(tied=True).named_parameters()]
    assert "output.weight" not in names


def test_dropout_is_on_in_training_only():
    net = make(num_layers=2, dropout=0.5)
    assert (net.dropout.p, net.rnn.dropout) == (0.5, 0.5)
    inputs, targets, state = random_ids(2, 5), random_ids(2, 5), net.start(2)
    one, other = net(inputs, targets, state)[0], net(inputs, targets, state)[0]
    assert not torch.equal(one, other)
    net.eval()
    assert torch.equal(net(inputs, targets, state)[0], net(inputs, targets, state)[0])
    net.set_dropout(0.0)
    net.train()
    assert torch.equal(net(inputs, targets, state)[0], net(inputs, targets, state)[0])
    single = make(num_layers=1)
    single.set_dropout(0.5)
    assert (single.dropout.p, single.rnn.dropout) == (0.5, 0.0)


def test_unknown_cell():
    with pytest.raises(ValueError, match=r"cell.*'rnn'"):
        make(cell="rnn")
