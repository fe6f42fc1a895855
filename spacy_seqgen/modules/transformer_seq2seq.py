"""An encoder-decoder of transformer layers."""

import math
from collections.abc import Iterable
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from .attention import Memory
from .dropout import Dropout
from .loss import output_cross_entropy
from .output_layer import OutputLayer
from .positions import POSITIONS, rotation
from .seq2seq import Seq2Seq, Written, make_embedding, make_target_embedding, select_memories
from .transformer_layers import Cache, DecoderLayer, EncoderLayer


class TransformerState(NamedTuple):
    """Between two symbols.

    memories (tuple[Memory, ...]): For each layer, what was read.
    past (tuple[Cache, ...]): For each layer, what was written; empty at first.
    """

    memories: tuple[Memory, ...]
    past: tuple[Cache, ...]


class TransformerSeq2Seq(Seq2Seq):
    """
    source_size, target_size (int): Numbers of symbols.
    width (int): Of embeddings and states.
    num_layers (int): Layers of the encoder, and of the decoder.
    num_heads (int): Heads of each attention.
    inner_size (int): Width inside the feed-forward parts.
    positions (str): "sinusoidal", "learned" or "rotary".
    tied (bool): Use the target embeddings as weights of the softmax.
    tied_source (bool): Use them as the source embeddings too.
    label_smoothing (float), pad (int): As for every `Seq2Seq`.
    """

    rescales_vectors = True  # embeddings are multiplied, and positions may be added to them

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        inner_size: int,
        positions: str = "sinusoidal",
        tied: bool = True,
        tied_source: bool = False,
        label_smoothing: float = 0.1,
        pad: int = 0,
    ):
        super().__init__(label_smoothing, pad)
        sizes = width, num_heads, inner_size
        self.source = make_embedding(source_size, width, pad)
        self.target = make_target_embedding(self.source, target_size, shared=tied_source)
        self.source_positions, self.target_positions = (POSITIONS[positions](width) for _ in "st")
        self.head_width = width // num_heads if positions == "rotary" else 0
        self.dropout = Dropout(0.0)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(num_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(num_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.output = OutputLayer(width, target_size)
        if tied:
            self.output.weight = self.target.weight

    @property
    def embeddings(self) -> dict[str, nn.Embedding]:
        return {"source": self.source, "target": self.target}

    def start(  # type: ignore[override]
        self, source: Tensor, lengths: Tensor
    ) -> TransformerState:
        mask = source != self.pad
        states, turn = self._embed(self.source, self.source_positions, source, 0)
        for layer in self.encoder:
            states = layer(states, mask[:, None, None], turn)
        states = self.encoder_norm(states)
        layers = cast(Iterable[DecoderLayer], self.decoder)
        memories = (layer.remember(states, mask) for layer in layers)
        return TransformerState(tuple(memories), ())

    def write(self, state: TransformerState, ids: Tensor, wants_weights: bool = False) -> Written:
        first = state.past[0].keys.shape[2] if state.past else 0
        states, turn = self._embed(self.target, self.target_positions, ids, first)
        past, weights = [], None
        for number, layer in enumerate(self.decoder):
            before = state.past[number] if state.past else None
            last = number == len(self.decoder) - 1
            states, written, weights = layer(
                states, before, state.memories[number], wants_weights and last, turn
            )
            past.append(written)
        new = TransformerState(state.memories, tuple(past))
        return Written(self.decoder_norm(states), weights, new)

    def logits(self, states: Tensor) -> Tensor:
        return self.output(states)

    def loss(self, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return output_cross_entropy(states, self.output, targets, self.label_smoothing)

    @staticmethod
    def select(state: TransformerState, rows: np.ndarray) -> TransformerState:
        hypotheses = len(state.past[0].keys) if state.past else len(state.memories[0].keys)
        index = torch.from_numpy(rows).to(state.memories[0].keys.device)
        past = tuple(Cache(*(item.index_select(0, index) for item in c)) for c in state.past)
        memories = select_memories(state.memories, rows, hypotheses)
        return TransformerState(memories, past)

    def _embed(
        self, embedding: nn.Embedding, positions: nn.Module, ids: Tensor, first: int
    ) -> tuple[Tensor, Tensor | None]:
        """States for the first layer, and how attention turns them, if it does."""
        places = torch.arange(first, first + ids.shape[1], device=ids.device)
        embedded = embedding(ids) * math.sqrt(embedding.embedding_dim) + positions(places)
        turn = rotation(places, self.head_width) if self.head_width else None
        return self.dropout(embedded), turn
