"""What every encoder-decoder can do, whatever it is made of."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Memory, find_places
from .loss import smoothed_cross_entropy

_LEAST_FOUND = 1e-30  # of attention, for its logarithm
_READ_AT_ONCE = 1024  # symbols whose logits are computed together

# What an encoder reads, the batch first: of sentences the ids and the lengths, of pictures
# their pixels.
Source = tuple[Tensor, ...]


class Written(NamedTuple):
    """What a decoder makes of symbols it is given.

    states (Tensor): Shape (batch, time, width): what `logits` takes.
    weights (Tensor | None): Shape (batch, time, source time): where each step looked.
    state (Any): The decoder after the last symbol.
    """

    states: Tensor
    weights: Tensor | None
    state: Any


class Seq2Seq(nn.Module):
    """Reads something, a sentence or a picture (`start`), then writes a sentence (`write`),
    symbol by symbol or, when all are known, at once.

    A state may hold several hypotheses of each source, of some more than of others, which share
    what was read: `select` keeps some of them.

    label_smoothing (float): Share of the probability to spread over all symbols.
    pad (int): The symbol that is not learned.
    """

    # How much training minds attention that is not where it is told to be.
    guided_attention = 0.0
    has_attention = True
    # Whether vectors from elsewhere must have the size of the model's own embeddings.
    rescales_vectors = False

    def __init__(self, label_smoothing: float, pad: int):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.pad = pad

    def start(self, *source: Tensor) -> Any:
        """Read. Of sentences the source is

        ids (Tensor): Shape (batch, time), int64, padded at the end.
        lengths (Tensor): Shape (batch,), int64, on the CPU; at least 1 each.
        RETURNS (Any): The state before the first symbol of what is to be written.
        """
        raise NotImplementedError

    def write(self, state: Any, ids: Tensor, wants_weights: bool = False) -> Written:
        """Go on with symbols that are given.

        ids (Tensor): Shape (hypotheses, time), int64: those before the ones to predict.
        wants_weights (bool): Tell where each step looked, even if that takes longer.
        """
        raise NotImplementedError

    def logits(self, states: Tensor) -> Tensor:
        """(..., width) to (..., symbols)."""
        raise NotImplementedError

    def loss(self, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What training minimises: `smoothed_cross_entropy` of (n, width), (n,)."""
        return smoothed_cross_entropy(self.logits(states), targets, self.label_smoothing)

    @staticmethod
    def select(state: Any, rows: np.ndarray) -> Any:
        """Keep some hypotheses, or repeat them."""
        raise NotImplementedError

    def penalty(self, written: Written, real: Tensor) -> Tensor | None:
        """What training minimises beside the loss, if anything.

        written (Written): Of the true symbols.
        real (Tensor): Shape (batch, time), bool: which of them are no padding.
        RETURNS (Tensor | None): Shape (batch,), for each symbol of the row.
        """
        return None

    @property
    def embeddings(self) -> dict[str, nn.Embedding]:
        """Those of the "source" and the "target"."""
        raise NotImplementedError

    def with_dropout(self) -> nn.Module:
        """The part that `set_dropout` is about."""
        return self

    def set_dropout(self, rate: float) -> None:
        for module in self.with_dropout().modules():
            if isinstance(module, nn.Dropout):
                module.p = rate
            elif isinstance(module, nn.RNNBase):
                module.dropout = rate if module.num_layers > 1 else 0.0

    def forward(
        self,
        source: Source,
        inputs: Tensor,
        targets: Tensor,
        teacher_forcing: float = 1.0,
        guide: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Losses for training.

        source (Source): What `start` takes.
        inputs, targets (Tensor): Shape (batch, time), int64, padded at the end. Several
            for each source, as many of each and one after the other, if there are more rows
            than sources.
        teacher_forcing (float): Share of the inputs that are used; the others are
            replaced by what the model predicts when it is given all of them.
        guide (Tensor | None): Shape (batch, time, source time), float32, from 0 to 1: where
            each step should look; nowhere for any place. With `guided_attention`, times which
            the loss has - log(sum(weights x guide)) of each.
        RETURNS (tuple[Tensor, Tensor]): Shape (batch,) both: the loss, label smoothing and
            `penalty` included, and the negative log-likelihood without; both in nats.
        """
        state = self.start(*source)
        sources = len(source[0])
        if len(inputs) > sources:
            state = self.select(state, np.arange(sources).repeat(len(inputs) // sources))
        if teacher_forcing < 1:
            inputs = self._mix(state, inputs, teacher_forcing)
        written = self.write(state, inputs)
        real = targets != self.pad
        loss, nll = self.loss(written.states[real], targets[real])
        rows = torch.nonzero(real)[:, 0]
        zeros = loss.new_zeros(len(targets))
        losses = zeros.index_add(0, rows, loss)
        penalty = self.penalty(written, real)
        if penalty is not None:
            losses = losses + penalty * real.sum(1)
        if guide is not None and written.weights is not None:
            told = guide.any(-1)
            found = (written.weights.float()[told] * guide[told]).sum(-1).clamp_min(_LEAST_FOUND)
            astray = zeros.index_add(0, torch.nonzero(told)[:, 0], -found.log())
            losses = losses + self.guided_attention * astray
        return losses, zeros.index_add(0, rows, nll)

    @torch.no_grad()
    def _mix(self, state: Any, inputs: Tensor, share: float) -> Tensor:
        predicted = self.logits(self.write(state, inputs).states).argmax(-1)
        own = torch.rand(inputs.shape, device=inputs.device) >= share
        own &= inputs != self.pad
        own[:, 0] = False  # before the first symbol nothing was predicted
        return torch.where(own, predicted.roll(1, 1), inputs)

    def read(self, source: Source, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Score sentences that are given.

        RETURNS (tuple[Tensor, Tensor]): Shape (batch, time) both: the negative
            log-likelihood of each symbol in nats, 0 for padding; and, as bool, whether it
            was the most probable one.
        """
        states = self.write(self.start(*source), inputs).states
        nll, correct = torch.zeros_like(targets, dtype=torch.float32), targets == self.pad
        places = torch.nonzero(targets != self.pad)
        for part in places.split(_READ_AT_ONCE):
            rows, columns = part.unbind(1)
            logits, true = self.logits(states[rows, columns]).float(), targets[rows, columns]
            nll[rows, columns] = F.cross_entropy(logits, true, reduction="none")
            correct[rows, columns] = logits.argmax(-1) == true
        return nll, correct

    def look(self, state: Any, inputs: Tensor) -> Tensor:
        """Where the decoder looks when it writes what is given.

        state (Any): As `start` makes it.
        RETURNS (Tensor): Shape (batch, target time, source time), rows adding up to 1.
        """
        weights = self.write(state, inputs, wants_weights=True).weights
        assert weights is not None, "the model has no attention"
        return weights

    def stepper(self) -> tuple[Any, Callable[[Any], Any]]:
        """The fastest way to write without gradients: what has the `step` and `select` to use,
        and a function that turns a state of the model into one for them."""
        return self, lambda state: state

    def step(self, state: Any, ids: Any) -> tuple[Tensor, Any]:
        """One symbol for each hypothesis: ids of shape (hypotheses,) to logits."""
        device = next(self.parameters()).device
        written = self.write(state, torch.as_tensor(ids, device=device)[:, None])
        return self.logits(written.states)[:, -1].float(), written.state


def make_embedding(symbols: int, width: int, pad: int) -> nn.Embedding:
    embedding = nn.Embedding(symbols, width, padding_idx=pad)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    with torch.no_grad():
        embedding.weight[pad].zero_()
    return embedding


def make_target_embedding(source: nn.Embedding, symbols: int, *, shared: bool) -> nn.Embedding:
    """The embedding of the target.

    source (nn.Embedding): That of the source, as `make_embedding` made it.
    symbols (int): Of the target.
    shared (bool): Use that of the source, whose first symbols are those of the target.
    RAISES (ValueError): If that can't be, because it has fewer symbols.
    """
    if not shared:
        assert source.padding_idx is not None
        return make_embedding(symbols, source.embedding_dim, source.padding_idx)
    if source.num_embeddings < symbols:
        raise ValueError(
            "tied_source = true makes one embedding for both languages, but the source has "
            f"{source.num_embeddings} symbols and the target {symbols}"
        )
    return source


def put_vectors(
    embedding: nn.Embedding, rows: np.ndarray, values: np.ndarray, *, rescale: bool
) -> None:
    """Give symbols vectors from elsewhere. These and the random ones of other symbols are
    of one size (root mean square) afterwards.

    embedding (nn.Embedding): As `make_embedding` made it.
    rows (np.ndarray): Shape (n,), int64: the symbols.
    values (np.ndarray): Shape (n, width), float32.
    rescale (bool): Multiply the vectors to be of that size, not the random ones.
    """
    size = float(np.sqrt(np.square(values, dtype=np.float64).mean()))
    ratio = size * embedding.embedding_dim**0.5
    with torch.no_grad():
        embedding.weight.mul_(1.0 if rescale else ratio)
        given = torch.from_numpy(values / ratio if rescale else values)
        embedding.weight[torch.from_numpy(rows)] = given.to(embedding.weight)


def select_memories(
    memories: Sequence[Memory], rows: np.ndarray, hypotheses: int
) -> tuple[Memory, ...]:
    """What the sentences of some hypotheses have to be looked at.

    memories (Sequence[Memory]): Of the sentences: one for each layer that looks.
    rows (np.ndarray): Shape (kept,): the hypotheses to keep.
    hypotheses (int): How many there are now.
    """
    count, places = len(memories[0].keys), memories[0].places
    if count == 1:  # it stays
        return tuple(memories)
    before = np.arange(hypotheses) // (hypotheses // count) if places is None else places.owners
    owners = before[rows]
    if np.array_equal(owners, before):
        return tuple(memories)  # as nearly always: no sentence is finished
    places = None
    if (np.diff(owners) < 0).any():  # not side by side: so one memory for each
        sentences = owners
    else:
        sentences, counts = np.unique(owners, return_counts=True)
        if (counts != counts[0]).any():
            places = find_places(counts, memories[0].keys.device)
    if np.array_equal(sentences, np.arange(count)):
        return tuple(memory._replace(places=places) for memory in memories)
    kept = torch.from_numpy(sentences).to(memories[0].keys.device)
    return tuple(memory.select(kept)._replace(places=places) for memory in memories)
