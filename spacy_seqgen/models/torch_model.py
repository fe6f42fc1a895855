"""Thinc models around PyTorch modules whose sizes only the data knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thinc.api import Model
from torch import nn

from .shim import TorchShim


@dataclass(frozen=True)
class TorchSettings:
    """What is fixed when a model is configured.

    make (Callable): Makes the module from its numbers of symbols: of the input, if it has
        an input of its own, and of the output; and from the attribute "description" of the
        model, if there is one.
    precision (str): What training computes in.
    dropout (float | None): A rate of the model's own; None takes `[training] dropout`.
    """

    make: Callable[..., nn.Module]
    precision: str
    dropout: float | None


def make_torch_model(
    name: str,
    forward: Callable,
    settings: TorchSettings,
    *,
    dims: Sequence[str] = ("nO",),
    **attrs: Any,
) -> Model[Any, Any]:
    """A Thinc model without a module. `model.initialize()` makes it once the dimension
    "nO", the number of symbols, is set; loading a saved pipeline does the same.

    name (str): The name of the Thinc model.
    forward (Callable): Its forward function.
    settings (TorchSettings): How to make the module.
    dims (Sequence[str]): The dimensions it is made from, in order.
    attrs (Any): Further attributes of the Thinc model.
    """
    if settings.dropout is not None and not 0 <= settings.dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, got {settings.dropout}")
    attrs = {"dropout_rate": 0.0, "settings": settings, **attrs}
    return Model(name, forward, init=init, dims=dict.fromkeys(dims), attrs=attrs)


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    settings: TorchSettings = model.attrs["settings"]
    known = {key: model.attrs[key] for key in ("description",) if key in model.attrs}
    net = settings.make(*(model.get_dim(name) for name in model.dim_names), **known)
    model._shims = [TorchShim(net, precision=settings.precision)]


def set_dropout(model: Model, net: Any) -> None:
    """Pass the dropout rate of the training on to the module."""
    own = model.attrs["settings"].dropout
    net.set_dropout(model.attrs["dropout_rate"] if own is None else own)
