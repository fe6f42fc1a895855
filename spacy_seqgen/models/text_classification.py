"""Text classifiers for spaCy's own `textcat` and `textcat_multilabel`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from spacy.errors import Errors
from spacy.tokens import Doc
from thinc.api import Model, chain, reduce_mean, torch2xp, xp2torch

from ..modules.classifier_head import POOLINGS, ClassifierHead
from ..modules.packing import Packing
from ..modules.pretrained_encoder import make_encoder, set_dropout
from ..modules.quantized import quantize_linear
from ..modules.text_classifier import TextClassifier, VectorClassifier
from .activations import make_cache
from .class_gradients import ClassGradients
from .finding import explained
from .pieces import Pieces
from .precision import check_precision, resolve_precision
from .pretrained import (
    PretrainedEncoderSettings,
    build_encoder,
    fitting_window,
    load_pretrained,
    most_positions,
)
from .shim import DescribedShim
from .unfreezing import TrainedLayers

NAME = "transformer_textcat"  # of the Thinc model
_TRIED = 1024  # pieces: longer windows are not tried out


@dataclass(frozen=True)
class ClassifierSettings:
    """What is fixed when a text classifier is configured."""

    encoder: PretrainedEncoderSettings | None
    pooling: str
    hidden_size: int
    dropout: float | None
    gradients: ClassGradients
    predict_precision: str

    def make(self, description: dict[str, Any]) -> torch.nn.Module:
        """The module, with random weights."""
        if self.encoder is None:
            return VectorClassifier(self.make_head(description))
        model = build_encoder(description["config"])
        window, most = description["window"], most_positions(model.config)
        if most is not None and window > most:
            raise ValueError(f"the window is {window}, but the encoder reads {most} pieces")
        return self.join(description, model)

    def join(self, description: dict[str, Any], model: Any) -> TextClassifier:
        """The module around an encoder of the transformers library."""
        assert self.encoder is not None
        encoder = make_encoder(model)
        if self.encoder.dropout is not None:
            set_dropout(encoder, self.encoder.dropout)
        if description.get("int8"):
            quantize_linear(encoder.layers)
        return TextClassifier(
            encoder,
            self.make_head(description),
            batch_size=self.encoder.batch_size,
            learn_rate=self.encoder.learn_rate,
            layer_decay=self.encoder.layer_decay,
            cache=make_cache(self.encoder.cache, self.encoder.cache_size),
        )

    def make_head(self, description: dict[str, Any]) -> ClassifierHead:
        width, classes = description["width"], description["classes"]
        return ClassifierHead(width, classes, self.pooling, self.hidden_size)


def build_transformer_textcat(
    encoder: Any,
    exclusive_classes: bool,
    pooling: str = "mean",
    hidden_size: int = 0,
    dropout: float | None = None,
    label_smoothing: float = 0.0,
    class_weights: list[float] | None = None,
    precision: str = "auto",
    predict_precision: str = "fp32",
    nO: int | None = None,
) -> Model[list[Doc], Any]:
    """A text classifier for `textcat` (exclusive classes) and `textcat_multilabel`.
    Registered as `spacy-seqgen.TransformerTextCat.v1` (`@architectures`).

    encoder (Any): `spacy-seqgen.PretrainedEncoder.v1`, which is the classifier's own; or
        a model of spaCy's that makes a vector of each token, such as
        `spacy-transformers.TransformerListener.v1` or `spacy.Tok2VecListener.v1`; or
        `spacy-transformers.TransformerModel.v3`.
    exclusive_classes (bool): One class for each text, or any number of them.
    pooling (str): From the states of a text to one vector: "cls" (the first; only for an
        encoder of its own), "mean", "max" or "attention".
    hidden_size (int): Width of a layer before the classes; 0 for none.
    dropout (float | None): Before the classes; None takes `[training] dropout`.
    label_smoothing (float): Share of the truth that is spread over all classes.
    class_weights (list[float] | None): Weight of each class, in the order of the labels.
    precision (str): What training computes in: "fp32", "bf16", or "auto": bf16 where it is
        the faster.
    predict_precision (str): The same of predictions. In bf16 they depend a little on
        which texts are computed together. Quantized classifiers compute in fp32.
    nO (int | None): Number of classes; set by the component.
    RAISES (ValueError): If a value is out of range, or the encoder is none.
    """
    check_precision(precision)
    check_precision(predict_precision, "predict_precision")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {POOLINGS}, got {pooling!r}")
    if hidden_size < 0:
        raise ValueError(f"hidden_size must be 0 or more, got {hidden_size}")
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, got {dropout}")
    gradients = ClassGradients(exclusive_classes, label_smoothing, class_weights)
    own = encoder if isinstance(encoder, PretrainedEncoderSettings) else None
    trained_layers = TrainedLayers(own.train_layers) if own else None
    if own:  # a schedule can't be copied with the settings
        own = replace(own, train_layers=None)
    settings = ClassifierSettings(own, pooling, hidden_size, dropout, gradients, predict_precision)
    model: Model = Model(
        NAME,
        _forward_own if own else _forward_tokens,
        init=_init,
        dims={"nO": nO},
        layers=[] if own else [_tokens_of(encoder, pooling)],
        attrs={"dropout_rate": 0.0, "settings": settings},
    )
    model._shims = [
        DescribedShim(
            "spacy-seqgen.TransformerTextCat.v1",
            settings.make,
            partial(_make_pieces, own) if own else None,
            precision=precision,
        )
    ]
    if trained_layers:
        model.attrs["trained_layers"] = trained_layers
    return model


def _tokens_of(encoder: Any, pooling: str) -> Model:
    """A model that makes an array for each Doc, a row for each token."""
    if not isinstance(encoder, Model):
        raise ValueError(
            "encoder must be spacy-seqgen.PretrainedEncoder.v1 or a model of token vectors, got "
            f"{type(encoder).__name__}"
        )
    if pooling == "cls":
        raise ValueError(
            'pooling = "cls" needs an encoder of the classifier\'s own '
            "(spacy-seqgen.PretrainedEncoder.v1): others give no vector for the beginning of a text"
        )
    if type(encoder).__name__ != "TransformerModel":
        return encoder
    # That of spacy-transformers, which gives batches of pieces.
    from spacy_transformers.layers import split_trf_batch, trfs2arrays

    return chain(encoder, split_trf_batch(), trfs2arrays(reduce_mean(), 1.0))


def _init(model: Model, X: Any = None, Y: Any = None) -> None:
    settings: ClassifierSettings = model.attrs["settings"]
    if model.has_dim("nO") is None and Y is not None:
        model.set_dim("nO", Y.shape[1])
    classes = model.get_dim("nO")
    settings.gradients.check(classes)
    shim = _shim(model)
    if settings.encoder is None:
        (encoder,) = model.layers
        encoder.initialize(X=X)
        description = {"classes": classes, "width": _width(encoder, X or ())}
        shim.put(VectorClassifier(settings.make_head(description)), description)
    else:
        own = settings.encoder
        net, found = load_pretrained(own.name, allow_pickle=own.allow_pickle)
        description = {"classes": classes, "width": net.config.hidden_size, **found}
        description["window"] = fitting_window(own, net.config)
        _make_pieces(own, description)  # which checks the stride
        shim.put(settings.join(description, net), description)
        _try(shim, own, {shim.precision, settings.predict_precision})


def _try(shim: DescribedShim, own: PretrainedEncoderSettings, precisions: set[str]) -> None:
    """Classify a short text and a full window: better now than at the first update.

    RAISES (PretrainedError): If an encoder can't compute that.
    """
    (ids,) = shim.pieces(["a"]).ids
    full = np.resize(ids, min(shim.pieces.window, _TRIED))
    for precision in sorted(resolve_precision(item, shim.device) for item in precisions):
        hint = 'Set precision and predict_precision to "fp32"' if precision == "bf16" else ""
        with explained(own.name, hint), shim.inference(precision) as net:
            net([ids, full], [1, 1])
    shim.net.train()


def _width(encoder: Model, docs: Sequence[Doc]) -> int:
    if encoder.has_dim("nO"):
        return encoder.get_dim("nO")
    found = [rows.shape[1] for rows in encoder.predict(docs) if len(rows)]
    if not found:
        raise ValueError("The encoder made no vector of the first texts: are they empty?")
    return found[0]


def _shim(model: Model) -> DescribedShim:
    (shim,) = model.shims
    assert isinstance(shim, DescribedShim)
    return shim


def get_ready(model: Model) -> tuple[ClassifierSettings, DescribedShim]:
    """
    RAISES (ValueError): If the model was not initialized.
    """
    shim = _shim(model)
    if shim.description is None:
        raise ValueError(Errors.E109.format(name=model.name))
    return model.attrs["settings"], shim


def _make_pieces(own: PretrainedEncoderSettings, description: dict[str, Any]) -> Pieces:
    window = description["window"]
    stride = own.stride if window == own.window else max(1, window * own.stride // own.window)
    return Pieces(description["tokenizer"], window=window, stride=stride)


def quantize(model: Any) -> bool:
    """Round the weights of a classifier's encoder to 8 bits.

    RETURNS (bool): Whether it is one with an encoder of its own that was not rounded yet.
    """
    if not isinstance(model, Model) or "trained_layers" not in model.attrs:
        return False
    _, shim = get_ready(model)
    description = shim.description or {}
    if description.get("int8"):
        return False
    quantize_linear(shim.net.encoder.layers)
    shim.put(shim.net, {**description, "int8": True})
    return True


def get_pieces(model: Model) -> Pieces:
    """What cuts texts for a classifier with an encoder of its own."""
    return get_ready(model)[1].pieces


def _forward_own(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Any, Callable]:
    _, shim = get_ready(model)
    windows = get_pieces(model)([doc.text for doc in docs])
    if is_train:
        if (shim.description or {}).get("int8"):
            raise ValueError(
                "This classifier was quantized (spacy seqgen quantize) and can't be trained: train "
                "the pipeline it was made from"
            )
        update = shim.native.updates
        layers = len(shim.net.encoder.layers)
        shim.net.freeze(model.attrs["trained_layers"].frozen_parts(update, layers))
    scores, backprop = _classify(model, docs, (windows.ids, windows.counts), is_train)

    def backprop_docs(d_scores: Any) -> list[Doc]:
        backprop(d_scores)
        return list(docs)

    return scores, backprop_docs


def _forward_tokens(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[Any, Callable]:
    _, shim = get_ready(model)
    (encoder,) = model.layers
    arrays, backprop_arrays = encoder(docs, is_train)
    # An empty Doc is one vector of zeros.
    sizes = [max(1, len(rows)) for rows in arrays]
    states = torch.zeros(sum(sizes), (shim.description or {})["width"], device=shim.device)
    packing = Packing(sizes, shim.device)
    full = [rows for rows in arrays if len(rows)]
    places = torch.tensor([len(rows) > 0 for rows in arrays], device=shim.device)[packing.owner]
    if full:
        states[places] = xp2torch(model.ops.xp.concatenate(full), device=shim.device)
    states.requires_grad_(is_train)
    scores, backprop = _classify(model, docs, (states, packing), is_train)

    def backprop_docs(d_scores: Any) -> Any:
        backprop(d_scores)
        assert states.grad is not None
        parts = torch.split(states.grad, sizes)
        pairs = zip(parts, arrays, strict=True)
        return backprop_arrays([torch2xp(part[: len(rows)]) for part, rows in pairs])

    return scores, backprop_docs


def _classify(
    model: Model, docs: Sequence[Doc], inputs: tuple, is_train: bool
) -> tuple[Any, Callable[[Any], None]]:
    """Probabilities, and what takes spaCy's gradient of them. A Doc without tokens has none
    (spaCy's component says so too, where all Docs of a batch are empty)."""
    settings, shim = get_ready(model)
    if is_train:
        own = settings.dropout
        shim.net.set_dropout(model.attrs["dropout_rate"] if own is None else own)
        (logits,), backprop_logits = shim.train_step(*inputs)
    else:
        is_exact = bool((shim.description or {}).get("int8"))
        with shim.inference("fp32" if is_exact else settings.predict_precision) as net:
            (logits,) = net(*inputs)
    scores = logits.detach().float()
    scores = scores.softmax(1) if settings.gradients.exclusive else scores.sigmoid()
    there = torch.tensor([[len(doc) > 0] for doc in docs], device=scores.device)

    def backprop(d_scores: Any) -> None:
        if not is_train:
            raise ValueError("This prediction was made without gradients")
        gradient = settings.gradients(scores, xp2torch(d_scores, device=scores.device))
        backprop_logits(torch.where(there, gradient, 0.0))

    found: Any = torch2xp(torch.where(there, scores, 0.0))
    return model.ops.asarray(found), backprop
