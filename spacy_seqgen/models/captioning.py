"""Models for the `image_captioner`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from thinc.api import Model
from torch import nn

from ..modules.attention import find_attention
from ..modules.captioner import CONTEXT_HEADS, AttentiveCaptioner
from ..modules.seq2seq import Source
from .image_encoders import EncoderSettings, build_conv_encoder
from .precision import check_precision
from .teacher_forcing import TeacherForcing
from .torch_model import TorchSettings, make_torch_model
from .translation import check_label_smoothing, check_sizes, forward


@dataclass
class CaptionBatch:
    """Pictures and a caption of each.

    pictures (np.ndarray): Shape (batch, 3, height, width), uint8; or, float32, the grids
        that the encoder makes of them.
    inputs, targets (np.ndarray): As of a `PairBatch`. In training there may be several
        captions of each picture, as many of each, one after the other.
    guide (np.ndarray | None): Where training should look, if that is known: shape (batch, time,
        rows x columns of the grid), float32, from 0 to 1; nowhere for any place.
    """

    pictures: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    guide: np.ndarray | None = None

    def read(self, device: torch.device) -> Source:
        """What the encoder reads."""
        return (torch.from_numpy(self.pictures).to(device),)


def build_attentive_captioner(
    encoder: EncoderSettings | None = None,
    embedding_size: int = 128,
    hidden_size: int = 256,
    num_layers: int = 1,
    cell: str = "lstm",
    attention: str | Callable = "additive",
    gate: bool = True,
    positions: bool = True,
    layout: int = 1,
    word_detectors: bool = False,
    context_layers: int = 0,
    input_feeding: bool | None = None,
    feeds_places: bool = False,
    doubly_stochastic: float = 1.0,
    guided_attention: float = 0.0,
    additive_output: bool = True,
    tied: bool = True,
    label_smoothing: float = 0.1,
    teacher_forcing: Any = 1.0,
    dropout: float | None = None,
    precision: str = "auto",
    predict_precision: str = "fp32",
) -> Model:
    """Captions with attention over a picture (Xu et al. 2015,
    https://arxiv.org/abs/1502.03044). Registered as `spacy-seqgen.AttentiveCaptioner.v1`
    (`@architectures`).

    encoder (EncoderSettings | None): What makes a grid of features of a picture; None for
        `spacy-seqgen.ConvEncoder.v1` as it is.
    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the decoder, and of what it attends to.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    attention (str | Callable): "additive" as in the paper, "dot", "general"; "none": then all
        the decoder knows of the picture is the mean of the grid; or an `AttentionMaker` of
        your own.
    gate (bool): Let the decoder choose how much of what it sees counts at each step.
    positions (bool): Tell each part of the grid where it is.
    layout (int): How many regions across and down have a projection of their own: 1 for the
        same everywhere, as in the paper; with more, the mean of the grid, which the decoder
        begins with, says what is where.
    word_detectors (bool): Add to the logits of each word, at every step, a linear function of
        the whole grid (of its regions, as many as `layout` says): words that are seldom seen
        are then learned from few pictures.
    context_layers (int): Layers of self-attention between the parts of the grid: with them
        a part knows what it is left of, say (Herdade et al. 2019,
        https://arxiv.org/abs/1906.05963). They have 4 heads, and begin by changing nothing.
    input_feeding (bool | None): Tell the recurrent layers what was seen a step before, as in
        the paper. Training then goes step by step, which is slower; but without it they do
        not know where they have looked. None for true where there is attention.
    feeds_places (bool): Of what was seen a step before, tell only where it was: the decoder
        then has to look at a thing for each word that it says of it. Needs `positions` and
        `input_feeding`.
    doubly_stochastic (float): alpha_c: how much training minds parts of the picture that
        get more or less attention than 1 in all steps together. 0 switches it off.
    guided_attention (float): How much training minds attention outside of the regions that the
        corpus has for parts of captions, if it has any (Liu et al. 2017,
        https://arxiv.org/abs/1605.09553). 0 leaves them alone.
    additive_output (bool): Add up what was written, the state and what is seen before the
        softmax, as in the paper (equation 7): what is seen says the same of a word whatever
        was written before. False takes tanh of the sum, as the translator does.
    tied (bool): Use the embeddings as weights of the softmax.
    label_smoothing (float): Share of the probability that training spreads over all
        symbols.
    teacher_forcing (float | Iterator[float]): Share of the symbols before the one to
        predict that are the true ones in training, or a schedule of it.
    dropout (float | None): Dropout on embeddings, between layers and before the softmax.
        None takes the rate from `[training] dropout`.
    precision (str): "fp32", "bf16", or "auto": bf16 where it is the faster.
    predict_precision (str): The same of predictions: in bf16 pictures are read in less time, and
        captions may depend on which pictures are read together. What is written is computed in
        fp32 all the same.
    RETURNS (Model[CaptionBatch, Any]): In training: loss and negative log-likelihood of
        each row, in nats.
    """
    sizes: dict[str, Any] = {
        "embedding_size": embedding_size, "hidden_size": hidden_size, "num_layers": num_layers,
        "layout": layout,
    }  # fmt: skip
    check_sizes(sizes)
    if cell not in ("lstm", "gru"):
        raise ValueError(f"cell must be 'lstm' or 'gru', got {cell!r}")
    find_attention(attention)
    if input_feeding is None:
        input_feeding = attention != "none"
    if input_feeding and attention == "none":
        raise ValueError('input_feeding needs attention: there is nothing to feed with "none"')
    if feeds_places and not (positions and input_feeding):
        raise ValueError("feeds_places needs positions and input_feeding: places are what it feeds")
    if context_layers < 0 or (context_layers and hidden_size % CONTEXT_HEADS):
        raise ValueError(
            f"context_layers must be 0 or more, and hidden_size a multiple of {CONTEXT_HEADS} "
            f"with them, got {context_layers} and {hidden_size}"
        )
    weights: dict[str, Any] = {
        "doubly_stochastic": doubly_stochastic, "guided_attention": guided_attention,
    }  # fmt: skip
    for name, value in weights.items():
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, got {value}")
    if guided_attention and attention == "none":
        raise ValueError('guided_attention needs attention: there is nothing to guide with "none"')
    check_label_smoothing(label_smoothing)
    check_precision(precision)
    check_precision(predict_precision, "predict_precision")
    encoder = encoder or build_conv_encoder()
    make = partial(
        _make,
        encoder,
        **sizes,
        cell=cell,
        attention=attention,
        gate=gate,
        positions=positions,
        word_detectors=word_detectors,
        context_layers=context_layers,
        input_feeding=input_feeding,
        feeds_places=feeds_places,
        **weights,
        additive_output=additive_output,
        tied=tied,
        label_smoothing=label_smoothing,
    )
    return make_torch_model(
        "attentive_captioner",
        _forward,
        TorchSettings(make, precision, dropout),
        teacher_forcing=TeacherForcing(teacher_forcing),
        encoder=encoder,
        description={},
        predict_precision=predict_precision,
    )


def _forward(model: Model, batch: CaptionBatch, is_train: bool) -> tuple[Any, Callable]:
    return forward(model, batch, is_train, batch.guide)


def _make(
    encoder: EncoderSettings, target_size: int, *, description: dict[str, Any], **settings: Any
) -> nn.Module:
    return AttentiveCaptioner(encoder.make(description), target_size, **settings)
