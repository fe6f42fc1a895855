"""Image encoders of the transformers library: what they see, and why some can't be had."""

import json
import shutil
import sys

import pytest
import torch
from transformers import AutoModel, BertConfig, CLIPConfig, CLIPModel

from spacy_seqgen.models import vision
from spacy_seqgen.models.finding import PretrainedError
from spacy_seqgen.models.image_encoders import build_pretrained_vision
from spacy_seqgen.modules.grids import GridReader
from spacy_seqgen.modules.transformers_vision import TransformersEncoder

from ..vision_models import CONFIGS, make_vision_folder

SIZE = 16
CONVOLUTIONAL = ("resnet", "convnext")


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    path = tmp_path_factory.mktemp("vision")
    return {kind: make_vision_folder(path / kind, kind) for kind in CONFIGS}


@pytest.fixture
def folder(sources, tmp_path):
    return shutil.copytree(sources["resnet"], tmp_path / "encoder")


@pytest.fixture
def pixels():
    torch.manual_seed(3)
    return torch.randint(0, 256, (3, 3, SIZE, SIZE), dtype=torch.uint8)


def load(folder, size=SIZE, **settings):
    """As the captioner does it: what was loaded goes into another one, with other weights."""
    made = build_pretrained_vision(str(folder), **settings)
    description, weights = made.load(size)
    torch.manual_seed(99)
    encoder = made.make(json.loads(json.dumps(description)))
    encoder.load_state_dict(weights)
    return encoder.eval()


@pytest.mark.parametrize("kind", CONFIGS)
@torch.inference_mode()
def test_the_grid_is_what_the_model_says(kind, sources, pixels):
    encoder = load(sources[kind])
    grid = encoder(pixels)
    model = AutoModel.from_pretrained(sources[kind]).eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in vision.IMAGENET)
    states = model((pixels.float() / 255 - mean) / std).last_hidden_state
    if kind not in CONVOLUTIONAL:
        parts = grid.shape[2] * grid.shape[3]
        assert states.shape[1] - parts == {"vit": 1, "deit": 2, "beit": 1, "registers": 5,
                                           "clip": 1}.get(kind, 0)  # fmt: skip
        states = states[:, -parts:].transpose(1, 2).unflatten(2, grid.shape[2:])
    torch.testing.assert_close(grid, states, atol=1e-4, rtol=1e-4)
    single = torch.cat([encoder(pixels[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(grid, single, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["convnext", "vit"])
@torch.inference_mode()
def test_some_of_the_layers(kind, sources, pixels):
    values = (pixels.float() / 255 - 0.5) / 0.25
    model = AutoModel.from_pretrained(sources[kind]).eval()
    hidden = model(values, output_hidden_states=True).hidden_states
    for layers in (1, 3):
        encoder = load(sources[kind], layers=layers, mean=(0.5,) * 3, std=(0.25,) * 3)
        grid, expected = encoder(pixels), hidden[layers - 1]
        if expected.dim() == 3:
            expected = expected[:, 1:].transpose(1, 2).unflatten(2, grid.shape[2:])
        torch.testing.assert_close(grid, expected, atol=1e-4, rtol=1e-4)
        assert encoder.width == grid.shape[1] and encoder.frozen
    with pytest.raises(ValueError, match="layers must be from 1 to 4 or null, got 5"):
        load(sources[kind], layers=5)


def layers_of(encoder, names):
    """Numbers of the layers that parameters or buffers are in."""
    found = set()
    for name in names:
        parts = name.split(".")
        place = [i for i, part in enumerate(parts) if part in ("stages", "layer", "layers")]
        after = {"layernorm": 3, "post_layernorm": 3}
        found.add(int(parts[place[0] + 1]) + 1 if place else after.get(parts[-2], 0))
    return found


@pytest.mark.parametrize("kind", ["resnet", "clip"])
@pytest.mark.parametrize("train_from", [None, 0, 2])
def test_layers_that_stay_as_they_are(kind, train_from, sources, pixels):
    encoder = load(sources[kind], train_from=train_from, learn_rate_factor=0.3).train()
    first = 4 if train_from is None else train_from
    assert encoder.frozen == (first == 4)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    grid = encoder(pixels)
    if not encoder.frozen:
        grid.square().sum().backward()
    assert grid.requires_grad != encoder.frozen
    learning = [name for name, p in encoder.named_parameters() if p.grad is not None]
    assert layers_of(encoder, learning) == set(range(first, 4))
    changed = [n for n, value in encoder.state_dict().items() if not torch.equal(value, before[n])]
    assert layers_of(encoder, changed) == (set(range(first, 4)) if kind == "resnet" else set())
    assert set(encoder.learn_rate_factors().values()) == {0.3}


def test_layers_that_are_not_there(sources):
    with pytest.raises(ValueError, match="train_from must be from 0 to 4 or null, got 5"):
        load(sources["vit"], train_from=5)


def test_a_model_whose_layers_can_not_be_told_apart():
    model = torch.nn.Module()
    model.config = CONFIGS["resnet"]()
    model.first, model.second = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 8)
    colours = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    settings = {"layers": None, "width": 8, "rate_factor": 1.0, **colours}
    for train_from, learns in ((None, False), (0, True), (1, True)):
        found = TransformersEncoder(model, train_from=train_from, **settings)
        assert {p.requires_grad for p in found.parameters()} == {learns}
        model.requires_grad_(True)


def test_layers_with_numbers_in_their_names():
    """As those of timm's ResNet, which are in no list."""
    model = torch.nn.Module()
    model.config = CONFIGS["resnet"]()
    model.conv1, model.bn1 = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
    model.layer1 = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3))
    model.layer2 = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3), torch.nn.BatchNorm2d(8))
    settings = {"width": 8, "rate_factor": 1.0, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    found = TransformersEncoder(model, layers=None, train_from=2, **settings)
    learning = {name.split(".")[1] for name, p in found.named_parameters() if p.requires_grad}
    assert learning == {"layer2"} and not found.model.bn1.training
    assert found.model.layer2[1].training
    with pytest.raises(ValueError, match="layers must be null for Module"):
        TransformersEncoder(model, layers=2, train_from=None, **settings)


def test_a_model_of_pictures_and_texts(tmp_path, sources, pixels):
    part = CONFIGS["clip"]().to_dict()
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    text |= {"intermediate_size": 8, "eos_token_id": 1, "bos_token_id": 0}
    whole = CLIPModel(CLIPConfig(text_config=text, vision_config=part))
    whole.vision_model.load_state_dict(
        AutoModel.from_pretrained(sources["clip"]).vision_model.state_dict()
    )
    whole.save_pretrained(tmp_path)
    torch.testing.assert_close(load(tmp_path)(pixels), load(sources["clip"])(pixels))


USUAL = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}


@pytest.mark.parametrize(
    "colours,settings,expected",
    [
        (None, {}, vision.IMAGENET),
        ({}, {}, vision.IMAGENET),
        (USUAL, {}, tuple(USUAL.values())),
        (USUAL, {"std": [1, 1, 1]}, ([0.1, 0.2, 0.3], [1, 1, 1])),
        ({**USUAL, "do_normalize": False}, {}, ([0, 0, 0], [1, 1, 1])),
        ({"image_mean": 3}, {"mean": [0, 0, 0], "std": [2, 2, 2]}, ([0, 0, 0], [2, 2, 2])),
    ],
)
def test_colours(folder, colours, settings, expected):
    if colours is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    encoder = load(folder, **settings)
    torch.testing.assert_close(encoder.mean.flatten(), torch.tensor(expected[0], dtype=torch.float))
    torch.testing.assert_close(encoder.std.flatten(), torch.tensor(expected[1], dtype=torch.float))


def colours(text):
    return lambda folder: (folder / "preprocessor_config.json").write_text(text)


def pickled(folder):
    weights = AutoModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def of_texts(folder):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = AutoModel.from_config(BertConfig(vocab_size=9, intermediate_size=8, **sizes))
    model.save_pretrained(folder)


def with_config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


@pytest.mark.parametrize(
    "change,message",
    [
        (pickled, r"are a pickle \(pytorch_model.bin\).* Convert them to safetensors$"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), r"has no weights \(model.safetensors\)"),
        (lambda f: (f / "model.safetensors").write_bytes(b"123"), "Can't load the encoder"),
        (lambda f: (f / "config.json").write_text("{"), "Can't load the encoder"),
        (with_config(hidden_sizes=[8, 8, 24]), "Can't load the encoder|don't fit its config"),
        (with_config(num_channels=1), "Can't load the encoder|don't fit its config"),
        (with_config(model_type="of the future"), "Can't load the encoder"),
        (with_config(model_type="vit_mae"), "architecture 'vit_mae', which is no image encoder"),
        (of_texts, "architecture 'bert', which is no image encoder"),
        (with_config(auto_map={"AutoModel": "evil.Model"}, model_type="evil"), "Can't load"),
        (colours("{"), "preprocessor_config.json of .* can't be read"),
        (colours("[]"), "preprocessor_config.json of .* can't be read"),
        (colours('{"image_mean": [0.5]}'), "nothing useful .*mean must be three numbers"),
        (colours('{"image_mean": [NaN, 0, 0]}'), "nothing useful .*mean must be finite"),
        (colours('{"image_std": [1, 1, 0]}'), "nothing useful .*std above 0"),
    ],
)
def test_folders_that_are_not_right(folder, change, message):
    change(folder)
    with pytest.raises(PretrainedError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_pictures_of_a_size_that_makes_no_grid(sources):
    message = r"can't read pictures of 3 x 3 pixels: .*\. Set another size.* trained with 16$"
    with pytest.raises(PretrainedError, match=message) as error:
        load(sources["vit"], size=3)
    assert str(sources["vit"]) in str(error.value) and "\n" not in str(error.value)
    assert load(sources["vit"], size=24)(torch.zeros(1, 3, 24, 24).byte()).shape[2:] == (6, 6)


@pytest.mark.parametrize(
    "states,found",
    [
        ((16, 8), (8, 4, 4)),
        ((17, 8), (8, 4, 4)),
        ((4, 8), (8, 2, 2)),
        ((1, 8), (8, 1, 1)),
        ((19, 8), None),
        ((5, 8), None),
        ((8,), None),
    ],
)
def test_grids(states, found):
    reader = GridReader((4, 4), (0, 1, 2, 5))
    if found is None:
        with pytest.raises(ValueError, match="make no grid over a picture of 16 x 16 pixels"):
            reader(torch.zeros(2, *states), 16, 16)
        return
    marked = torch.arange(states[0]).float()[:, None].expand(2, *states)
    grid = reader(marked, 16, 16)
    assert grid.shape[1:] == found
    assert grid[0, 0].flatten().tolist() == list(range(states[0]))[-found[1] * found[2] :]


def test_width_last():
    grid = GridReader(None, (0,), channels_last=True)(torch.zeros(1, 2, 3, 8), 16, 24)
    assert grid.shape == (1, 8, 2, 3)


@pytest.mark.parametrize("name", ["some-one/no-such-model", "./here", "package:no_such/model"])
def test_names_that_are_not_there(name, monkeypatch):
    from huggingface_hub import constants
    from transformers.utils import hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_is_offline_mode", True)
    with pytest.raises(PretrainedError):
        load(name)
    with pytest.raises(PretrainedError, match=r"not in the local cache.*: set mean and std"):
        vision._fetch_colours(name, "some-one/no-such-model")


def test_without_the_packages(folder, monkeypatch):
    monkeypatch.setattr(vision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        PretrainedError, match=r"'timm:resnet18' needs the package timm: pip install timm"
    ):
        load("timm:resnet18")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PretrainedError, match=r"pip install \"spacy-transformers"):
        load(folder)


@pytest.mark.parametrize(
    "description,message",
    [
        ({}, "The image encoder is not known"),
        ({"config": {"model_type": "bert"}}, "'bert', which is no image encoder"),
        ({"config": {"model_type": "resnet", "hidden_sizes": "a"}}, "'saved in the pipeline'"),
    ],
)
def test_descriptions_that_are_not_right(description, message):
    with pytest.raises(PretrainedError, match=message):
        build_pretrained_vision("a/b").make(description)
