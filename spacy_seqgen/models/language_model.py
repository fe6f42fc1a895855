"""Language models for the `text_generator`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from thinc.api import Model

from ..modules.recurrent_lm import RecurrentLM
from .precision import check_precision
from .shim import get_shim
from .torch_model import TorchSettings, make_torch_model, set_dropout


@dataclass
class LanguageBatch:
    """Texts as ids, for a language model.

    inputs, targets (np.ndarray): Shape (batch, time), int64, padded at the end. Targets
        are the symbols, inputs those before them.
    lengths (np.ndarray): Shape (batch,), int64: the number of targets.
    state (tuple | None): Where each row begins; None at the beginning of a text.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    state: tuple[Any, ...] | None = None


LanguageModel = Model[LanguageBatch, Any]


def build_recurrent_lm(
    embedding_size: int = 20,
    hidden_size: int = 128,
    num_layers: int = 1,
    cell: str = "lstm",
    dropout: float | None = None,
    tied: bool = False,
    carry_state: bool = True,
    precision: str = "auto",
) -> Model:
    """Embedding -> LSTM or GRU -> softmax. Registered as `spacy-seqgen.RecurrentLM.v1`
    (`@architectures`).

    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the recurrent layers.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    dropout (float | None): Dropout after the embeddings, between layers and before the
        softmax. None takes the rate from `[training] dropout`.
    tied (bool): Use the embeddings as weights of the softmax.
    carry_state (bool): Begin each window of a text where the one before ended
        (truncated back-propagation through time). Needs a batcher that keeps windows
        of a text in order: `spacy-seqgen.text_streams.v1`.
    precision (str): "fp32", "bf16", or "auto": bf16 where it is the faster.
    RETURNS (Model[LanguageBatch, Any]): In training: the negative log-likelihood of each
        row, in nats, and the new state. Otherwise: a `Reading`.
    """
    for name, value in (
        ("embedding_size", embedding_size),
        ("hidden_size", hidden_size),
        ("num_layers", num_layers),
    ):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")
    if cell not in ("lstm", "gru"):
        raise ValueError(f"cell must be 'lstm' or 'gru', got {cell!r}")
    check_precision(precision)
    make = partial(
        RecurrentLM,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        cell=cell,
        dropout=dropout or 0.0,
        tied=tied,
    )
    settings = TorchSettings(make, precision, dropout)
    return make_torch_model("recurrent_lm", forward, settings, carry_state=carry_state)


def forward(model: Model, batch: LanguageBatch, is_train: bool) -> tuple[Any, Callable]:
    shim = get_shim(model)
    inputs, targets = torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets)
    if shim.device.type != "cpu":
        inputs, targets = inputs.to(shim.device), targets.to(shim.device)
    state = shim.net.start(len(inputs)) if batch.state is None else batch.state
    if not is_train:
        with shim.inference() as net:
            return net.read(inputs, targets, torch.from_numpy(batch.lengths), state), no_backprop
    set_dropout(model, shim.net)
    (losses, new_state), torch_backprop = shim.train_step(inputs, targets, state)

    def backprop(d_losses: np.ndarray) -> LanguageBatch:
        torch_backprop(torch.from_numpy(d_losses))
        return batch

    return (losses.detach().float().cpu().numpy(), new_state), backprop


def no_backprop(d_output: Any) -> Any:
    raise ValueError("A model that was run for prediction can't be trained on it.")
