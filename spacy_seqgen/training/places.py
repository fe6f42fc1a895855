"""What a training has to remember of models and optimizer, under names that are the same
in every process."""

from collections.abc import Iterator
from typing import Any

import torch
from spacy.language import Language
from thinc.api import Model, Optimizer
from thinc.shims import PyTorchShim
from torch import Tensor

from ..models.shim import TorchShim


def _nodes(nlp: Language) -> Iterator[tuple[str, Model]]:
    """All Thinc nodes of the pipeline, with names that are the same in every process."""
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if isinstance(model, Model):
            for number, node in enumerate(model.walk()):
                yield f"{name}/{number}", node


def shims(nlp: Language) -> Iterator[tuple[str, PyTorchShim]]:
    for place, node in _nodes(nlp):
        for number, shim in enumerate(node.shims):
            if isinstance(shim, PyTorchShim):
                yield f"{place}/shim{number}", shim


def trained_shims(nlp: Language) -> Iterator[TorchShim]:
    """The bridges to PyTorch that have made an update."""
    for _, shim in shims(nlp):
        if isinstance(shim, TorchShim) and shim.native.source is not None:
            yield shim


def weights(nlp: Language) -> Iterator[tuple[str, Tensor]]:
    """The weights themselves: to write into a tensor changes the model."""
    for place, node in _nodes(nlp):
        for name in node.param_names:
            if node.has_param(name):
                yield f"{place}/{name}", torch.as_tensor(node.get_param(name))
    for place, shim in shims(nlp):
        seen: set[int] = set()
        for name, value in shim._model.state_dict(keep_vars=True).items():
            if id(value) not in seen:
                seen.add(id(value))
                yield f"{place}/{name}", value


def parameter_places(nlp: Language) -> dict[tuple[int, str], str]:
    """What the keys of a Thinc optimizer, which are new in each process, stand for."""
    places = {}
    for place, node in _nodes(nlp):
        for name in node.param_names:
            places[node.id, name] = f"{place}/{name}"
    for place, shim in shims(nlp):
        for name, _ in shim._model.named_parameters():
            places[shim.id, name] = f"{place}/{name}"
    return places


def optimizer_tensors(nlp: Language, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    for place, shim in shims(nlp):
        if isinstance(shim, TorchShim):
            for name, value in shim.native.state().items():
                yield f"native/{place}/{name}", value
    places = parameter_places(nlp)
    for kind in ("mom1", "mom2", "averages"):
        for key, value in (getattr(optimizer, kind) or {}).items():
            if key in places:
                yield f"{kind}/{places[key]}", torch.as_tensor(value)


def like_parameter(nlp: Language, key: tuple[int, str], kind: str, value: Tensor) -> Any:
    """A value of the optimizer, in the type in which it is kept for a parameter."""
    for _, shim in shims(nlp):
        if shim.id == key[0] and isinstance(shim, TorchShim):
            return value.to(shim.device)
    for _, node in _nodes(nlp):
        if node.id == key[0]:
            return node.ops.asarray(value.numpy())  # type: ignore[arg-type]
    return value.numpy()


def update_counts(nlp: Language, optimizer: Optimizer) -> dict[str, int]:
    places = parameter_places(nlp)
    return {places[key]: n for key, n in optimizer.nr_update.items() if key in places}
