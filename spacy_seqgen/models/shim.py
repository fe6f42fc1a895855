"""The bridge between Thinc, which spaCy trains, and PyTorch, which computes.

Every model of this package goes through `TorchShim`. The loss is computed inside
PyTorch; what crosses the bridge is ids on the way in and one loss for each example on
the way out.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import srsly
import torch
from thinc.api import Model, Optimizer
from thinc.shims import PyTorchShim
from thinc.util import get_torch_default_device
from torch import Tensor, nn

from .optimizer import NativeStep
from .precision import check_precision, computing_in, full_precision, resolve_precision
from .weights import check_fit, put_weights, read_weights, weights_from_bytes, weights_to_bytes

FORMAT = "spacy-seqgen.weights.v1"

# A process forked after PyTorch has used its threads hangs as soon as it needs them
# itself (nlp.pipe with n_process > 1). Registered here, before any model exists.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def get_shim(model: Model) -> "TorchShim":
    """The bridge of a model that was initialized."""
    shim = model.shims[0]
    if not isinstance(shim, TorchShim):
        raise TypeError(f"The model '{model.name}' is none of spacy-seqgen")
    return shim


class TorchShim(PyTorchShim):
    """Holds a PyTorch module for a Thinc model.

    net (nn.Module): The module. It is called with tensors and returns a tuple: the
        losses, shape (examples,), and anything else.
    precision (str): "auto", "fp32" or "bf16": what training computes in.
    """

    def __init__(self, net: nn.Module | None, *, precision: str = "auto"):
        super().__init__(net)
        self.precision = check_precision(precision)
        self._native: NativeStep | None = None

    @property
    def net(self) -> Any:
        return self._model

    @property
    def native(self) -> NativeStep:
        """The optimizer step. Made when it is first needed."""
        if self._native is None:
            self._native = NativeStep(self._model, self.id)
        return self._native

    def train_step(self, *inputs: Any) -> tuple[tuple[Any, ...], Callable[[Tensor], None]]:
        """Run the module forward for training.

        RETURNS (tuple): What the module returned, and a callback that takes the
            gradient of the losses and leaves gradients at the parameters.
        """
        if not self._model.training:
            self._model.train()
        with computing_in(self._resolved_precision, self.device):
            outputs = self._model(*inputs)

        def backprop(d_losses: Tensor) -> None:
            torch.autograd.backward(outputs[0], d_losses.to(outputs[0]))

        return outputs, backprop

    @functools.cached_property
    def _resolved_precision(self) -> str:
        return resolve_precision(self.precision, self.device)

    @contextlib.contextmanager
    def inference(self, precision: str = "fp32") -> Iterator[Any]:
        """The module, for use without training: no dropout, no gradients, full precision
        (see `modules.output_layer` for the one exception) unless another one is asked for."""
        if self._model.training:  # to say it to all parts takes time
            self._model.eval()
        exact = resolve_precision(precision, self.device) == "fp32"
        computing = full_precision(self.device) if exact else computing_in("bf16", self.device)
        with torch.inference_mode(), computing:
            yield self._model

    def computing_in(self, precision: str) -> contextlib.AbstractContextManager[None]:
        """A context for a part of what is done in `inference`.

        precision (str): "fp32", "bf16", or "auto".
        """
        return computing_in(resolve_precision(precision, self.device), self.device)

    def finish_update(self, optimizer: Optimizer) -> None:
        self.native.step(optimizer)
        if not self._model.training:  # it predicted since the gradients were computed
            self._weights_changed()

    @contextlib.contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        named = dict(self._model.named_parameters())
        given = {name: params[self.id, name] for name in named if (self.id, name) in params}
        if not given:
            yield
            return
        backup = {name: named[name].detach().clone() for name in given}
        self._set_weights(given)
        try:
            yield
        finally:
            self._set_weights(backup)

    def _set_weights(self, values: dict[str, Tensor]) -> None:
        # Copied in place: cuDNN wants its weights to stay in one piece of memory.
        named = dict(self._model.named_parameters())
        with torch.no_grad():
            for name, value in values.items():
                named[name].copy_(value)
        self._weights_changed()

    def _weights_changed(self) -> None:
        """Have the module let go of what it made from the old weights."""
        mode = self._model.training
        self._model.train()
        self._model.train(mode)

    def to_bytes(self) -> bytes:
        return srsly.msgpack_dumps({"format": FORMAT, "weights": weights_to_bytes(self._model)})

    def from_bytes(self, bytes_data: bytes) -> "TorchShim":
        data = self._unpack(bytes_data)
        weights_from_bytes(self._model, data.get("weights"))
        self._weights_changed()
        return self

    def _unpack(self, bytes_data: bytes) -> dict[str, Any]:
        try:
            data = srsly.msgpack_loads(bytes_data)
        except Exception as error:  # damaged msgpack fails in many ways
            raise ValueError(
                f"These are not weights that spacy-seqgen saved, or they are damaged: {error}. "
                "Copy or train the pipeline again."
            ) from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format", "none") if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"These are not weights that spacy-seqgen saved (expected {FORMAT!r}, found "
                f"{found!r}). Weights in the format of Thinc's own PyTorch wrapper are a pickle "
                "inside and are not loaded."
            )
        return data

    def __getstate__(self) -> dict[str, Any]:
        # For copies and processes that are spawned: an optimizer belongs to one training.
        return {**self.__dict__, "_native": None}


class DescribedShim(TorchShim):
    """Holds a module that can be made again from a description, which is saved with the
    weights. For components of spaCy's own, which load a model before anything that its
    sizes depend on.

    name (str): Of the model, for errors.
    make (Callable): Makes the module from the description: strings, numbers, lists and
        dicts.
    make_pieces (Callable | None): Makes what the user of the module needs besides.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[dict[str, Any]], nn.Module],
        make_pieces: Callable[[dict[str, Any]], Any] | None = None,
        *,
        precision: str = "auto",
    ):
        super().__init__(None, precision=precision)
        self.name = name
        self.make = make
        self.make_pieces = make_pieces
        self.description: dict[str, Any] | None = None
        self._pieces: Any = None

    @property
    def pieces(self) -> Any:
        """What `make_pieces` made."""
        if self._pieces is None and self.make_pieces is not None:
            self._pieces = self.make_pieces(self.description or {})
        return self._pieces

    def build(self, description: dict[str, Any], weights: dict[str, Tensor]) -> None:
        """Make the module, whose weights are not those that are given: they only have to
        fit.

        RAISES (ValueError): If they don't, which is known before there is memory for it; or
            if the description is damaged.
        """
        try:
            if not isinstance(description, dict):
                raise ValueError(f"its description is no dict, but {description!r:.50}")
            with without_memory(limit=2 * len(weights) + 8):  # some are made and not kept
                empty = self.make(description)
            check_fit(empty, weights)
            with torch.random.fork_rng(devices=[]):
                self.put(self.make(description), description)
            _ = self.pieces
        except Exception as error:  # of any kind: the description goes into many libraries
            if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
                raise ValueError(f"{self.name} can't be made: {error}") from error
            raise ValueError(
                f"{self.name} can't be made from what was saved with its weights: "
                f"{_reason(error)}. The file is damaged, or of another version: copy or train "
                "the pipeline again."
            ) from error

    def put(self, net: nn.Module, description: dict[str, Any]) -> None:
        """Take a module, and what describes it."""
        net = net.train()  # parts that were loaded may be in another mode than the rest
        self._model, self.description = net.to(get_torch_default_device()), description
        self._native = self._pieces = None
        self.__dict__.pop("_resolved_precision", None)

    def to_bytes(self) -> bytes:
        if self.description is None:
            return srsly.msgpack_dumps({"format": FORMAT, "description": None})
        weights = weights_to_bytes(self._model)
        data = {"format": FORMAT, "description": self.description, "weights": weights}
        return srsly.msgpack_dumps(data)

    def from_bytes(self, bytes_data: bytes) -> "DescribedShim":
        data = self._unpack(bytes_data)
        description = data.get("description")
        if description is None:
            return self
        weights = read_weights(data.get("weights"))
        if self.description != description:
            self.build(description, weights)
        put_weights(self._model, weights)
        self._weights_changed()
        replaced = getattr(self._model, "weights_replaced", None)
        if replaced is not None:
            replaced()
        return self


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    text = str(error).strip().split("\n")[0].rstrip(".")
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


@contextlib.contextmanager
def without_memory(limit: int) -> Iterator[None]:
    """A context in which modules are made with shapes only: no memory for weights, and no
    more of them than a limit, because a description may ask for any number of layers."""
    made = 0

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal made
        made += 1
        if made > limit:
            raise ValueError("it has more weights than the file holds")

    handle = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            yield
    finally:
        handle.remove()
