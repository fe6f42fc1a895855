"""Tiny pre-trained models that read pictures."""

import json

import torch
from thinc.api import fix_random_seed
from transformers import (
    AutoModel,
    BeitConfig,
    CLIPVisionConfig,
    ConvNextConfig,
    DeiTConfig,
    Dinov2WithRegistersConfig,
    ResNetConfig,
    SiglipVisionConfig,
    SwinConfig,
    ViTConfig,
)

_BLOCKS = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 4,
}
_STAGES = {"hidden_sizes": [8, 8, 16], "depths": [1, 1, 1]}
CONFIGS = {
    "resnet": lambda: ResNetConfig(embedding_size=8, layer_type="basic", **_STAGES),
    "convnext": lambda: ConvNextConfig(num_stages=3, patch_size=2, **_STAGES),
    "vit": lambda: ViTConfig(**_BLOCKS),
    "deit": lambda: DeiTConfig(**_BLOCKS),
    "beit": lambda: BeitConfig(**_BLOCKS),
    "registers": lambda: Dinov2WithRegistersConfig(num_register_tokens=4, **_BLOCKS),
    "clip": lambda: CLIPVisionConfig(**_BLOCKS),
    "siglip": lambda: SiglipVisionConfig(**_BLOCKS),
    "swin": lambda: SwinConfig(
        image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4
    ),
}


def make_vision_folder(path, kind="resnet", seed=0, colours=None):
    """Save a model with random weights, the same for each seed.

    colours (dict | None): Of its preprocessor_config.json; None for no such file.
    """
    fix_random_seed(seed)
    model = AutoModel.from_config(CONFIGS[kind]())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(path)
    if colours is not None:
        (path / "preprocessor_config.json").write_text(json.dumps(colours))
    return path
