"""Models of timm, where it is installed."""

import json

import pytest
import torch

from spacy_seqgen.models import vision
from spacy_seqgen.models.finding import PretrainedError
from spacy_seqgen.models.image_encoders import build_pretrained_vision

timm = pytest.importorskip("timm", exc_type=ImportError)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", pretrained=False)
    timm.models.save_for_hf(
        model, tmp_path, model_config={"architecture": "resnet10t"}, safe_serialization=True
    )
    return tmp_path, model.eval()


def test_a_folder(folder):
    path, model = folder
    settings = build_pretrained_vision(str(path), train_from=4)
    description, weights = settings.load(64)
    encoder = settings.make(json.loads(json.dumps(description)))
    encoder.load_state_dict(weights)
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model.forward_features((pixels.float() / 255 - encoder.mean) / encoder.std)
        torch.testing.assert_close(encoder.eval()(pixels), expected, atol=1e-4, rtol=1e-4)
    learning = {name.split(".")[2] for name, p in encoder.named_parameters() if p.requires_grad}
    assert learning == {"layer4"}


def test_names(folder):
    assert vision._find("timm:resnet18") == "timm/resnet18.a1_in1k"
    with pytest.raises(PretrainedError, match="timm:no_such"):
        vision._find("timm:no_such")


@pytest.mark.parametrize("architecture", ["hf-hub:some/one", "local-dir:/", "no_such", None, 3])
def test_architectures_that_are_none(folder, architecture):
    path, _ = folder
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "architecture": architecture}))
    with pytest.raises(PretrainedError):
        build_pretrained_vision(str(path)).load(64)
