"""Captions with attention over a picture (Xu et al. 2015,
https://arxiv.org/abs/1502.03044): an image encoder before the decoder of the translator."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import AttentionMaker
from .dropout import Dropout
from .image_encoders import ImageEncoder
from .recurrent_decoder import DecoderState, RecurrentDecoder
from .recurrent_encoder import Bridge
from .recurrent_writer import RecurrentWriter
from .seq2seq import Written, make_embedding
from .transformer_layers import EncoderLayer

CONTEXT_HEADS = 4
# Coordinates beside the features, times this: where the decoder looked should not be lost
# among what it saw there.
_LOUD = 4.0
# Waves over the picture, each of half the length of the one before: with them a product of a query
# and a key can be highest at one place, such as that of the step before.
_WAVES = 4
_PLACE_SIZE = 4 * _WAVES + 2


class AttentiveCaptioner(RecurrentWriter):
    """
    encoder (ImageEncoder): Makes a grid of features of a picture.
    target_size (int): Number of symbols.
    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the decoder, and of what it attends to.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    attention (str | AttentionMaker): "additive", "dot", "general", what makes one, or "none":
        then all the decoder knows of the picture is the mean of the grid.
    gate (bool): Whether the decoder decides how much of what it sees counts.
    positions (bool): Tell each part of the grid where it is: add a linear function of its
        coordinates, and of sines and cosines of them (Vaswani et al. 2017, section 3.5), and
        put all these beside (compare Liu et al. 2018, https://arxiv.org/abs/1807.03247).
    layout (int): How many regions across and down have a projection of their own: with more
        than one, the mean of the grid, which the decoder begins with, says what is where.
    word_detectors (bool): Add to the logits of each word, at every step, a linear function of
        the whole grid (of the means of its regions, as many as `layout` says; they overlap
        where that does not divide it): what a picture has of words that are seldom seen is
        learned from few pictures (compare Fang et al. 2015, https://arxiv.org/abs/1411.4952,
        and the wide part of Cheng et al. 2016, https://arxiv.org/abs/1606.07792).
    context_layers (int): Layers of self-attention between the parts of the grid. With them
        a part knows of the others what can't be said of it alone, such as what it is left of
        (Herdade et al. 2019, https://arxiv.org/abs/1906.05963).
    input_feeding (bool): Tell the recurrent layers what was seen a step before, as Xu et
        al. do.
    feeds_places (bool): Tell them only where that was. Then the decoder has to look at a thing
        for each word that it says of it; otherwise one look tells all, and it may look anywhere
        for the other words. Needs `positions`.
    doubly_stochastic (float): alpha_c: how much training minds parts of the picture that
        get more or less attention than 1, all steps together (equation 14).
    guided_attention (float): See `Seq2Seq.forward`.
    additive_output (bool): Add up what was written, the state and what is seen (times the
        gate) before the softmax (equation 7); otherwise tanh is taken of the sum.
    tied (bool), label_smoothing (float), pad (int): As for `RecurrentSeq2Seq`.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        target_size: int,
        *,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "lstm",
        attention: str | AttentionMaker = "additive",
        gate: bool = True,
        positions: bool = True,
        layout: int = 1,
        word_detectors: bool = False,
        context_layers: int = 0,
        input_feeding: bool = False,
        feeds_places: bool = False,
        doubly_stochastic: float = 1.0,
        guided_attention: float = 0.0,
        additive_output: bool = True,
        tied: bool = True,
        label_smoothing: float = 0.0,
        pad: int = 0,
    ):
        super().__init__(label_smoothing, pad)
        self.has_attention = attention != "none"
        self.doubly_stochastic = doubly_stochastic
        self.guided_attention = guided_attention
        self.encoder = encoder
        self.projection = (
            nn.Linear(encoder.width, hidden_size)
            if layout == 1
            else RegionalLinear(encoder.width, hidden_size, layout)
        )
        self.layout = layout
        self.detectors: nn.Linear | None = None
        if word_detectors:
            self.detectors = nn.Linear(layout**2 * encoder.width, target_size)
            # They begin with nothing, and learn what the decoder does not say.
            nn.init.zeros_(self.detectors.weight)
            nn.init.zeros_(self.detectors.bias)
        self.dropout = Dropout(0.0)  # of what the detectors read
        self.norm = nn.LayerNorm(hidden_size)
        self.place = nn.Linear(_PLACE_SIZE, hidden_size) if positions else None
        if self.place is not None:
            # Small at first: otherwise what things look like is learned later.
            nn.init.normal_(self.place.weight, std=0.1)
            nn.init.zeros_(self.place.bias)
        self.context = nn.ModuleList(_make_context(hidden_size) for _ in range(context_layers))
        self.bridge = Bridge(hidden_size, num_layers, 2 if cell == "lstm" else 1)
        memory_size = hidden_size + (_PLACE_SIZE if positions else 0)
        self.decoder = RecurrentDecoder(
            make_embedding(target_size, embedding_size, pad),
            symbols=target_size,
            memory_size=memory_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            cell=cell,
            attention=attention,
            input_feeding=input_feeding,
            gate=gate,
            feeds_context=_PLACE_SIZE if feeds_places else memory_size,
            additive_output=additive_output,
            tied=tied,
        )

    @property
    def embeddings(self) -> dict[str, nn.Embedding]:
        return {"target": self.decoder.embedding}

    def with_dropout(self) -> nn.Module:
        """Not the image encoder: one that was trained before has rates of its own."""
        return nn.ModuleList([self.decoder, self.context, self.dropout])

    def encode(self, pixels: Tensor) -> Tensor:
        """Shape (batch, 3, height, width), uint8, to (batch, width, rows, columns)."""
        return self.encoder(pixels)

    def start(self, pictures: Tensor) -> DecoderState:  # type: ignore[override]
        """
        pictures (Tensor): Pixels, or what `encode` makes of them.
        """
        grid = self.encode(pictures) if pictures.dtype == torch.uint8 else pictures
        parts = grid.flatten(2).transpose(1, 2)
        if isinstance(self.projection, RegionalLinear):
            projected = self.projection(parts, grid.shape[2:])
        else:
            projected = self.projection(parts)
        states = self.norm(torch.tanh(projected))
        if self.place is not None:
            # Added, and so not pressed by tanh: "left of" is learned in half as many updates.
            places = _find_places(grid)
            states = states + self.place(places)
        for layer in self.context:
            states = layer(states, None)
        mean = states.mean(1, keepdim=True)
        layers = self.decoder.rnn.num_layers
        first = self.bridge((mean.expand(-1, layers, -1),) * (len(self.bridge.weights) // layers))
        if self.place is not None:
            states = torch.cat([states, places.expand(len(states), -1, -1)], -1)
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        state = self.decoder.start(first, states, mask)
        if self.detectors is None:
            return state
        regions = F.adaptive_avg_pool2d(grid, self.layout).flatten(1)
        return state._replace(evidence=self.detectors(self.dropout(regions)))

    def penalty(self, written: Written, real: Tensor) -> Tensor | None:
        """alpha_c times the mean, over the parts, of (1 - what each got in all steps)^2."""
        if written.weights is None or not self.doubly_stochastic:
            return None
        seen = (written.weights * real[:, :, None]).sum(1)
        return self.doubly_stochastic * (1 - seen).square().mean(1)


class RegionalLinear(nn.Module):
    """A linear function of each part of a grid, which depends on the region that it is in.

    width_in, width (int): From and to.
    regions (int): Across, and as many down.
    """

    def __init__(self, width_in: int, width: int, regions: int):
        super().__init__()
        self.regions = regions
        limit = width_in**-0.5  # as `nn.Linear`
        shape = (regions**2, width_in, width)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.empty(regions**2, width).uniform_(-limit, limit))

    def forward(self, parts: Tensor, shape: Sequence[int]) -> Tensor:
        """
        parts (Tensor): (batch, rows x columns, width_in).
        shape (Sequence[int]): Rows and columns.
        RETURNS (Tensor): (batch, rows x columns, width).
        """
        down, across = (
            torch.arange(size, device=parts.device) * self.regions // size for size in shape
        )
        region = (down[:, None] * self.regions + across).flatten()
        found = torch.einsum("bpi,pio->bpo", parts, self.weight[region])
        return found + self.bias[region]


def _make_context(width: int) -> EncoderLayer:
    """A layer that adds nothing at first: the features are learned sooner."""
    layer = EncoderLayer(width, CONTEXT_HEADS, 2 * width)
    for last in (layer.attention.output, layer.feed_forward[-1]):
        for weights in last.parameters():
            nn.init.zeros_(weights)
    return layer


def _find_places(grid: Tensor) -> Tensor:
    """Where each part is: shape (rows x columns, `_PLACE_SIZE`): coordinates across and down,
    and sines and cosines of them."""
    # Not in the type of the grid: bfloat16 has no such fine steps.
    down, across = (
        torch.linspace(-1, 1, size, device=grid.device, dtype=torch.float32)
        for size in grid.shape[2:]
    )
    places = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1).flatten(0, 1)
    waves = [places * (math.pi / 2 * 2**wave) for wave in range(_WAVES)]
    return torch.cat([_LOUD * places, *(part for w in waves for part in (w.sin(), w.cos()))], -1)
