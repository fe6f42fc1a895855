"""Writing with a recurrent decoder on a CPU, one symbol at a time.

A step of `nn.GRU` on a sequence of length 1 costs several times its arithmetic, and so do
many small products one after the other. Here

- what a symbol brings, to the first layer and to the attentional state, is in a table made
  once, with a row for each symbol;
- a new hidden state is multiplied once, by all weights that want it: the recurrent ones,
  those of the layer above, of the query and of the attentional state;
- the context goes into the attentional state without a product of its own: what is attended
  to is multiplied by those weights once for a sentence.

The arithmetic is that of `RecurrentDecoder` to rounding errors.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .attention import ATTENTIONS, AdditiveAttention, Memory, in_parts, queries_at_once
from .recurrent_decoder import DecoderState, RecurrentDecoder
from .seq2seq import select_memories

_MAX_TABLE = 2**24  # values: 64 MB
_MANY = 2**14  # values of which PyTorch's tanh takes longer than its sigmoid and the rest


class StepState(NamedTuple):
    """Between two symbols; rows as in `DecoderState`.

    kept (tuple[Tensor, ...]): Of each layer what it keeps, shape (hypotheses, hidden): a
        GRU its hidden state, an LSTM its cell state.
    gates (tuple[Tensor, ...]): Of each layer what its hidden state brings to its next
        gates: shape (hypotheses, gates).
    feed (Tensor | None): What that of `DecoderState` brings to the first layer: shape
        (hypotheses, gates).
    memory (Memory | None): What is attended to, made ready by `prepare`. Its mask is
        float: what is added to scores.
    evidence (Tensor | None): As of `DecoderState`.
    """

    kept: tuple[Tensor, ...]
    gates: tuple[Tensor, ...]
    feed: Tensor | None
    memory: Memory | None
    evidence: Tensor | None


class DecoderSteps:
    """Step function for a decoder whose weights do not change.

    decoder (RecurrentDecoder): The decoder.
    """

    def __init__(self, decoder: RecurrentDecoder):
        self.decoder = decoder
        rnn, self.attention = decoder.rnn, decoder.attention
        self.is_lstm = isinstance(rnn, nn.LSTM)
        self.hidden = rnn.hidden_size
        self.gates = len(rnn.weight_hh_l0)
        with torch.no_grad():
            self._read_weights(rnn)

    def _read_weights(self, rnn: nn.RNNBase) -> None:
        decoder, width = self.decoder, self.decoder.embedding.embedding_dim
        w_in, b_in = _weights(rnn, "ih", 0)
        w_seen, b_seen = decoder.combine.weight, decoder.combine.bias
        # What the attentional state takes: the hidden state, the embedding, the context.
        w_hidden, w_embedded, self.w_context = w_seen.detach().split(
            [self.hidden, width, w_seen.shape[1] - self.hidden - width], 1
        )
        weight = torch.cat([w_in[:, :width], w_embedded])
        bias = torch.cat([b_in, b_seen.detach()])
        embeddings = decoder.embedding.weight.detach()[: decoder.output.out_features]
        self.table = torch.addmm(bias, embeddings, weight.t())
        self.w_feed = w_in[:, width:].t().contiguous() if decoder.input_feeding else None
        # What a context is multiplied by: once for a sentence.
        self.w_values = self.w_context.t()
        if self.w_feed is not None and decoder.feeds_context:
            # The part that is fed back stands behind that.
            unfed = len(self.w_values) - len(self.w_feed)
            chosen = torch.eye(len(self.w_values))[:, unfed:]
            self.w_values = torch.cat([self.w_values, chosen], 1)
        above = [_weights(rnn, "ih", layer) for layer in range(1, rnn.num_layers)]
        last, gate = [w_hidden], decoder.gate
        if isinstance(self.attention, AdditiveAttention):
            # tanh(x) = 2 sigmoid(2 x) - 1, and the softmax does not see the -1.
            last.append(self.attention.query.weight.detach() * 2)
            self.energy = self.attention.energy.weight.detach().t() * 2
        if gate is not None:
            last.append(gate.weight.detach())
        bias = torch.zeros(sum(map(len, last)))
        if gate is not None:
            bias[-1:] = gate.bias.detach()
        above.append((torch.cat(last), bias))
        # For each layer the weights, shape (hidden, gates + above), and biases of all that
        # wants its hidden state.
        self.products: list[tuple[Tensor, Tensor]] = []
        for layer, (w_above, b_above) in enumerate(above):
            w_own, b_own = _weights(rnn, "hh", layer)
            joined = torch.cat([w_own, w_above]).t().contiguous(), torch.cat([b_own, b_above])
            self.products.append(joined)

    def prepare(self, state: DecoderState) -> StepState:
        """Turn a state of the decoder into one for `step`."""
        hidden = state.hidden[0].unbind(1)
        gates = tuple(
            torch.addmm(bias[: self.gates], item, weight[:, : self.gates])
            for item, (weight, bias) in zip(hidden, self.products, strict=True)
        )
        memory = state.memory
        if memory is not None:
            keys = memory.keys * 2 if isinstance(self.attention, AdditiveAttention) else memory.keys
            masked = torch.zeros(memory.mask.shape).masked_fill_(~memory.mask, float("-inf"))
            memory = Memory(memory.values @ self.w_values, keys, masked, memory.places)
        feed = None
        if state.feed is not None:
            assert self.w_feed is not None
            feed = state.feed @ self.w_feed
        return StepState(state.hidden[-1].unbind(1), gates, feed, memory, state.evidence)

    def step(self, state: StepState, ids: Any) -> tuple[Tensor, StepState]:
        """One symbol for each hypothesis: ids of shape (hypotheses,) to logits."""
        brought = self.table.index_select(0, torch.as_tensor(ids))
        below, seen = brought.tensor_split([self.gates], 1)
        if state.feed is not None:
            below = below + state.feed
        kept, gates = [], []
        for layer, (weight, bias) in enumerate(self.products):
            cell = self._lstm if self.is_lstm else self._gru
            hidden, keeps = cell(below, state.gates[layer], state.kept[layer])
            own, below = torch.addmm(bias, hidden, weight).tensor_split([self.gates], 1)
            kept.append(keeps)
            gates.append(own)
        seen = seen + below[:, : self.hidden]
        if state.memory is not None:
            asked = below[:, self.hidden : 2 * self.hidden]
            query = asked if isinstance(self.attention, AdditiveAttention) else hidden
            found = self._attend(query, state.memory)
            if self.decoder.gate is not None:
                found = found * below[:, -1:].sigmoid()
            found, fed = found.tensor_split([self.hidden], 1)
            seen = seen + found
        attentional = seen if self.decoder.additive_output else _tanh(seen)
        logits = self.decoder.output(self.decoder.projection(attentional))
        if state.evidence is not None:
            logits = logits + state.evidence
        feed = None
        if self.w_feed is not None:
            feed = (fed if self.decoder.feeds_context else attentional) @ self.w_feed
        return logits, StepState(tuple(kept), tuple(gates), feed, state.memory, state.evidence)

    def _gru(self, below: Tensor, own: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        edge = 2 * self.hidden
        gates = (below[:, :edge] + own[:, :edge]).sigmoid_()
        reset, update = gates[:, : self.hidden], gates[:, self.hidden :]
        candidate = _tanh(torch.addcmul(below[:, edge:], reset, own[:, edge:]))
        new = torch.lerp(candidate, hidden, update)
        return new, new

    def _lstm(self, below: Tensor, own: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        enter, forget, candidate, leave = (below + own).chunk(4, 1)
        cell = torch.addcmul(cell * forget.sigmoid(), enter.sigmoid(), _tanh(candidate))
        return leave.sigmoid() * _tanh(cell), cell

    def _attend(self, query: Tensor, memory: Memory) -> Tensor:
        """What the context brings to the attentional state: (hypotheses, hidden)."""
        if not isinstance(self.attention, AdditiveAttention):
            scores = memory.by_sentence(query[:, None]) @ memory.keys.transpose(1, 2)
        elif memory.places is None:
            queries = memory.by_sentence(query[:, None])
            scores = in_parts(self._energies, queries, memory.keys)
        else:  # not for those that a sentence has less than another
            owners = torch.from_numpy(memory.places.owners)
            size = queries_at_once(memory.keys[0])
            parts = zip(query.split(size), owners.split(size), strict=True)
            found = [self._energies_of(part, memory.keys, of) for part, of in parts]
            scores = memory.by_sentence(torch.cat(found)[:, None])
        weights = (scores + memory.mask[:, None]).softmax(-1)
        return memory.by_hypothesis(weights @ memory.values, 1)[:, 0]

    def _energies(self, queries: Tensor, keys: Tensor) -> Tensor:
        hidden = (queries[:, :, None] + keys[:, None]).sigmoid_()
        return (hidden @ self.energy).squeeze(-1)

    def _energies_of(self, queries: Tensor, keys: Tensor, owners: Tensor) -> Tensor:
        hidden = keys.index_select(0, owners).add_(queries[:, None]).sigmoid_()
        return (hidden @ self.energy).squeeze(-1)

    @staticmethod
    def select(state: StepState, rows: np.ndarray) -> StepState:
        """As of the model."""
        index = torch.from_numpy(rows)
        kept = tuple(item.index_select(0, index) for item in state.kept)
        gates = tuple(item.index_select(0, index) for item in state.gates)
        feed = None if state.feed is None else state.feed.index_select(0, index)
        memory = state.memory
        if memory is not None:
            (memory,) = select_memories([memory], rows, len(state.kept[0]))
        evidence = None if state.evidence is None else state.evidence.index_select(0, index)
        return StepState(kept, gates, feed, memory, evidence)


def _weights(rnn: nn.RNNBase, name: str, layer: int) -> tuple[Tensor, Tensor]:
    weight, bias = (getattr(rnn, f"{kind}_{name}_l{layer}") for kind in ("weight", "bias"))
    return weight.detach(), bias.detach()


def _tanh(values: Tensor) -> Tensor:
    """tanh(x) = 2 sigmoid(2 x) - 1, to an absolute error of 1e-7: of many values in a third of
    the time of PyTorch's own."""
    if values.numel() <= _MANY:
        return values.tanh()
    return (values * 2).sigmoid_().mul_(2).sub_(1)


def make_decoder_steps(decoder: RecurrentDecoder) -> DecoderSteps | None:
    """Fast steps, or None where they do not apply: on a GPU, for vocabularies so large that the
    table would not fit, and for attention that is none of ours, also if it is derived of it."""
    if decoder.attention is not None and type(decoder.attention) not in ATTENTIONS.values():
        return None
    weight = decoder.embedding.weight
    size = decoder.output.out_features * (len(decoder.rnn.weight_hh_l0) + decoder.rnn.hidden_size)
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or size > _MAX_TABLE:
        return None
    return DecoderSteps(decoder)
