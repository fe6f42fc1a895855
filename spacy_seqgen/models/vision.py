"""Pre-trained image encoders of the transformers library: loaded, and made again."""

import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..modules.pretrained_vision import Colour
from ..modules.transformers_vision import TransformersEncoder
from .finding import PretrainedError, explained, find_weights, why_no_hub
from .pretrained import build_encoder, load_model

_COLOURS = "preprocessor_config.json"
IMAGENET: tuple[Colour, Colour] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean, deviation


def load_vision(
    size: int,
    *,
    name: str,
    layers: int | None,
    train_from: int | None,
    factor: float,
    instance_norm: bool,
    mean: Colour | None,
    std: Colour | None,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Load an image encoder, and try it.

    size (int): Height and width of the pictures, in pixels.
    name (str), layers, train_from, factor, instance_norm, mean, std: See `build_pretrained_vision`.
    RETURNS (tuple[dict, dict]): What `build_vision` needs to make it again, and its weights.
    RAISES (PretrainedError): If there is none, or it is of another kind, or it can't read
        pictures of that size.
    """
    place = _find(name)
    loaded, config = load_model(name, place, check_vision)
    with explained(name):
        # Made from the config, as from a saved pipeline: buffers that timm does not save are
        # empty in a model that transformers has loaded.
        model = build_encoder(config, check_vision)
        model.load_state_dict(loaded.state_dict())
    if mean is None or std is None:
        found = _read_colours(name, place, config)
        mean, std = mean or found[0], std or found[1]
    mean, std = check_colours(mean, std)
    description = {"config": config, "mean": list(mean), "std": list(std), "width": 1}
    given: dict[str, Any] = {"factor": factor, "instance_norm": instance_norm}
    encoder = _wrap(model, description, layers=layers, train_from=train_from, **given)
    description["width"] = _try(encoder, size, name)
    return description, encoder.state_dict()


def build_vision(description: dict[str, Any], **settings: Any) -> TransformersEncoder:
    """The encoder that `load_vision` described, with random weights.

    settings (Any): `layers`, `train_from`, `factor` and `instance_norm`, as there.
    RAISES (PretrainedError): If there is no description, or it is of something else.
    """
    if not description:
        raise PretrainedError(
            "The image encoder is not known: the component was not initialized, or saved with "
            "another encoder than its config names"
        )
    return _wrap(build_encoder(description["config"], check_vision), description, **settings)


def _wrap(
    model: Any,
    description: dict[str, Any],
    *,
    layers: Any,
    train_from: Any,
    factor: float,
    instance_norm: bool,
) -> TransformersEncoder:
    return TransformersEncoder(
        model,
        layers=layers,
        width=description["width"],
        train_from=train_from,
        rate_factor=factor,
        instance_norm=instance_norm,
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
    )


def _try(encoder: TransformersEncoder, size: int, name: str) -> int:
    """The width of its features."""
    try:
        with torch.inference_mode():
            return encoder.eval()(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1]
    except Exception as error:  # of any kind: each model has its own
        reason = str(error).strip().split("\n")[0].removesuffix(".")
        trained = getattr(encoder.model.config, "image_size", None)
        hint = f" It was trained with {trained}" if trained else ""
        raise PretrainedError(
            f"The encoder {name!r} can't read pictures of {size} x {size} pixels: {reason}. Set "
            f"another size of the pictures, or other layers.{hint}"
        ) from error


def check_vision(config: Any, name: str) -> Any:
    """The config of an image encoder: a given one, or its part, where it is of a model of
    pictures and texts.

    RAISES (PretrainedError): If there is none.
    """
    from transformers import AutoModel, AutoModelForImageClassification

    config = getattr(config, "vision_config", config)
    kinds = AutoModelForImageClassification._model_mapping.keys()
    is_vision = type(config) in kinds or config.model_type.endswith("_vision_model")
    if not is_vision or type(config) not in AutoModel._model_mapping.keys():
        raise PretrainedError(
            f"{name!r} is of the architecture {config.model_type!r}, which is no image encoder. "
            "The captioner needs one that reads pictures, such as ResNet, ConvNeXT or ViT"
        )
    if config.model_type == "timm_wrapper":
        _check_timm(config, name)
    return config


def _check_timm(config: Any, name: str) -> None:
    """Have timm make an architecture, and nothing else.

    RAISES (PretrainedError): If it does not know it.
    """
    timm = _timm(name)
    config.do_pooling = False
    architecture = str(getattr(config, "architecture", None))
    if not timm.is_model(architecture) or ":" in architecture or "/" in architecture:
        raise PretrainedError(f"timm knows no architecture {architecture!r} ({name!r})")
    # What is meant for the making of all models could have files read.
    left_out = {*inspect.signature(timm.create_model).parameters, "num_classes"}
    given = config.model_args or {}
    config.model_args = {key: value for key, value in given.items() if key not in left_out}


def _timm(name: str) -> Any:
    if importlib.util.find_spec("timm") is None:
        raise PretrainedError(f"{name!r} needs the package timm: pip install timm")
    import timm

    return timm


def _find(name: str) -> str:
    """Where the weights are: a folder, or a name on the hub."""
    if not name.startswith("timm:"):
        return find_weights(name)
    wanted = name.removeprefix("timm:")
    timm = _timm(name)
    with explained(name):
        found = timm.get_pretrained_cfg(wanted, allow_unregistered=False)
    if found is None or not found.hf_hub_id:
        raise PretrainedError(f"timm has no weights {wanted!r} on the hub")
    tag = f".{found.tag}" if found.tag else ""
    whole = found.hf_hub_id.endswith("/")
    return f"{found.hf_hub_id}{found.architecture}{tag}" if whole else found.hf_hub_id


def _read_colours(name: str, place: str, config: dict[str, Any]) -> tuple[Colour, Colour]:
    """Mean and deviation of the colours that a model was trained with."""
    data = config.get("pretrained_cfg")  # of timm
    keys = ("mean", "std")
    if not isinstance(data, dict):
        path = Path(place, _COLOURS) if Path(place).is_dir() else _fetch_colours(name, place)
        if path is None or not path.is_file():
            return IMAGENET
        keys = ("image_mean", "image_std")
        try:
            data = json.loads(path.read_text(encoding="utf8"))
            if not data.get("do_normalize", True):
                return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        except (ValueError, AttributeError, OSError) as error:
            raise PretrainedError(f"{_COLOURS} of {name!r} can't be read: {error}") from error
    try:
        mean, std = (data.get(key, usual) for key, usual in zip(keys, IMAGENET, strict=True))
        return check_colours(mean, std)
    except ValueError as error:
        raise PretrainedError(
            f"{name!r} says nothing useful of its colours ({error}): set mean and std"
        ) from error


def check_colours(mean: Any, std: Any) -> tuple[Colour, Colour]:
    """
    RAISES (ValueError): If these are not three numbers each, those of std above 0.
    """
    for key, values in (("mean", mean), ("std", std)):
        good = isinstance(values, list | tuple) and len(values) == 3
        if not good or not all(isinstance(item, int | float) for item in values):
            raise ValueError(f"{key} must be three numbers, got {values!r}")
    if not all(abs(item) < 1e6 for item in mean) or not all(1e-6 < item < 1e6 for item in std):
        raise ValueError(f"mean must be finite and std above 0, got {mean} and {std}")
    red, green, blue = map(float, mean)
    return (red, green, blue), (float(std[0]), float(std[1]), float(std[2]))


def _fetch_colours(name: str, place: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(place, _COLOURS))
    except LocalEntryNotFoundError as error:
        raise PretrainedError(
            f"{_COLOURS} of {name!r} is not in the local cache{why_no_hub()}: set mean and std"
        ) from error
    except EntryNotFoundError:
        return None
