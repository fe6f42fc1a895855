"""Pre-trained encoders: where their weights come from, and how they are made again."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from .finding import PretrainedError, check_folder, explained, find_weights, with_safetensors

_TOKENIZERS = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model"),
    *("spm.model", "sentencepiece.model"),
)
# Of a config: what says where it came from, what would have more packages or code loaded, the
# names of classes, and what the weights were saved in: they are float32 here.
_NOT_KEPT = (
    *("_name_or_path", "architectures", "transformers_version", "auto_map"),
    *("quantization_config", "attn_implementation", "_attn_implementation"),
    *("id2label", "label2id", "label_names", "torch_dtype", "dtype"),
    "num_labels",  # of which a list of names would be made
)


@dataclass(frozen=True)
class PretrainedEncoderSettings:
    """What `make_pretrained_encoder` was given; see there."""

    name: str
    window: int
    stride: int
    batch_size: int
    train_layers: Any
    learn_rate: float
    layer_decay: float
    dropout: float | None
    cache: str
    cache_size: float
    allow_pickle: bool


def make_pretrained_encoder(
    name: str,
    window: int = 512,
    stride: int = 384,
    batch_size: int = 4096,
    train_layers: Any = None,
    learn_rate: float = 1.0,
    layer_decay: float = 1.0,
    dropout: float | None = None,
    cache: str = "memory",
    cache_size: float = 1000.0,
    allow_pickle: bool = False,
) -> PretrainedEncoderSettings:
    """A pre-trained encoder. Registered as `spacy-seqgen.PretrainedEncoder.v1` (`@misc`).

    name (str): A folder with weights, config and tokenizer, `package:NAME/FOLDER` for
        one inside an installed package, or a name on the hub of Hugging Face. Read when
        the pipeline is initialized; a saved pipeline holds all of it.
    window (int): Most pieces read at once, special symbols included. Less where the
        encoder can't read so many.
    stride (int): Pieces from the beginning of a window to that of the next.
    batch_size (int): Most pieces computed at once, padding included.
    train_layers (int | Iterator | None): How many layers are trained, from the top: 0 for
        none (feature-based), None for all and the embeddings too; or a schedule.
    learn_rate (float): Of the encoder, as a multiple of `[training.optimizer]`'s.
    layer_decay (float): The same of each layer, as a multiple of the layer above.
    dropout (float | None): Inside the encoder; None for the rate it comes with.
    cache (str): Where the outputs of frozen layers are kept from one epoch to the next:
        "memory", "disk" (a temporary file) or "none".
    cache_size (float): Most megabytes of it.
    allow_pickle (bool): Read weights that are no safetensors too.
    RAISES (ValueError): If a value is out of range.
    """
    for key, value in (("window", window), ("stride", stride), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{key} must be 1 or more, got {value}")
    for key, factor in (("learn_rate", learn_rate), ("layer_decay", layer_decay)):
        if not factor > 0:
            raise ValueError(f"{key} of the encoder must be above 0, got {factor}")
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, got {dropout}")
    from .activations import make_cache

    make_cache(cache, cache_size)  # which checks both
    return PretrainedEncoderSettings(
        name=name,
        window=window,
        stride=stride,
        batch_size=batch_size,
        train_layers=train_layers,
        learn_rate=learn_rate,
        layer_decay=layer_decay,
        dropout=dropout,
        cache=cache,
        cache_size=cache_size,
        allow_pickle=allow_pickle,
    )


# Takes a config and a name; gives the config to use, and raises PretrainedError.
Check = Callable[[Any, str], Any]


def load_pretrained(name: str, *, allow_pickle: bool = False) -> tuple[Any, dict[str, Any]]:
    """Load an encoder of texts.

    name (str), allow_pickle (bool): See `make_pretrained_encoder`.
    RETURNS (tuple[nn.Module, dict]): The model, and what `build_encoder` and `Pieces` need
        to make it and its tokenizer again: "config" (dict) and "tokenizer" (str).
    RAISES (PretrainedError): If there is none, or it is of another kind.
    """
    place = find_weights(name)
    model, config = load_model(name, place, check_architecture, allow_pickle=allow_pickle)
    return model, {"config": config, "tokenizer": _load_tokenizer(name, place)}


def load_model(
    name: str, place: str, check: Check, *, allow_pickle: bool | None = None
) -> tuple[Any, dict[str, Any]]:
    """Load a model of the transformers library, in float32 and without code of its own.

    name (str): For messages.
    place (str): A folder, or a name on the hub.
    check (Check): Says whether it is of the right kind.
    allow_pickle (bool | None): Read weights that are no safetensors too. None for never.
    RETURNS (tuple[nn.Module, dict]): The model, and the config for `build_encoder`.
    RAISES (PretrainedError): If there is none, or it is of another kind.
    """
    AutoConfig, AutoModel = _classes("AutoConfig", "AutoModel")
    check_folder(name, place, allow_pickle)
    with explained(name):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        config = check(config, name)
        config._attn_implementation = None
        config.__dict__.pop("quantization_config", None)
    with explained(name), with_safetensors(name, place, allow_pickle), _quiet():
        model, info = AutoModel.from_pretrained(
            place,
            config=config,
            use_safetensors=None if allow_pickle else True,
            torch_dtype="float32",
            trust_remote_code=False,
            output_loading_info=True,
        )
    missing = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
    if missing or info["mismatched_keys"]:
        raise PretrainedError(
            f"The weights of {name!r} don't fit its config.json ({config.model_type}): "
            f"{', '.join(map(str, [*missing, *info['mismatched_keys']][:3]))} are missing or of "
            "another shape"
        )
    return _without_pooler(model), _plain(config)


def build_encoder(config: dict[str, Any], check: Check | None = None) -> nn.Module:
    """An encoder with random weights, from the config that was kept of it.

    check (Check | None): Says whether it is of the right kind; None for one of texts.
    RAISES (PretrainedError): If the config is of no encoder.
    """
    AutoConfig, AutoModel = _classes("AutoConfig", "AutoModel")
    known = {key: value for key, value in config.items() if key not in ("model_type", *_NOT_KEPT)}
    name = "saved in the pipeline"
    with explained(name, ways=""):
        made = AutoConfig.for_model(config.get("model_type", ""), **known)
        made = (check or check_architecture)(made, name)
        return _without_pooler(AutoModel.from_config(made, trust_remote_code=False))


def _classes(*names: str) -> list[Any]:
    """Classes of transformers, which is needed only here.

    RAISES (PretrainedError): If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise PretrainedError(
            'Pre-trained encoders need transformers: pip install "spacy-transformers>=1.4,<1.5"'
        ) from error
    return [getattr(transformers, name) for name in names]


def fitting_window(settings: PretrainedEncoderSettings, config: Any) -> int:
    """The window that was asked for, or what the encoder can read."""
    most = most_positions(config)
    return settings.window if most is None else min(settings.window, most)


def most_positions(config: Any) -> int | None:
    """How many pieces an encoder can read at once; None for any number."""
    most = getattr(config, "max_position_embeddings", None)
    if not most or most < 1:
        return None
    if "roberta" in config.model_type or config.model_type == "camembert":
        most -= config.pad_token_id + 1  # the first positions stand for padding
    return most


def check_architecture(config: Any, name: str) -> Any:
    """The same config.

    RAISES (PretrainedError): If it is not of an encoder.
    """
    from transformers import AutoModelForMaskedLM

    is_encoder = type(config) in AutoModelForMaskedLM._model_mapping.keys()
    if not is_encoder or config.is_encoder_decoder or getattr(config, "is_decoder", False):
        raise PretrainedError(
            f"{name!r} is of the architecture {config.model_type!r}, which is no encoder. The text "
            "classifier needs one that reads in both directions, such as BERT or RoBERTa"
        )
    return config


def _load_tokenizer(name: str, place: str) -> str:
    from transformers import AutoTokenizer

    folder = Path(place)
    if folder.is_dir() and not any((folder / item).is_file() for item in _TOKENIZERS):
        raise PretrainedError(
            f"{name!r} has no tokenizer (tokenizer.json or a vocabulary file). Save that of the "
            "model there, with tokenizer.save_pretrained"
        )
    with explained(name), _quiet():
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise PretrainedError(f"{name!r} has no tokenizer of the tokenizers library")
    return tokenizer.backend_tokenizer.to_str()


def _plain(config: Any) -> dict[str, Any]:
    data = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in data.items() if key not in _NOT_KEPT}


def _without_pooler(model: nn.Module) -> nn.Module:
    """BERT's own layer above the first position, made for guessing whether sentences follow
    each other, and the like of vision models, are not used."""
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        model.pooler = nn.Identity()  # some ask for None, some don't
    return model.eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the notices of transformers, whose matter is checked here."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
