"""The decoder of a recurrent sequence-to-sequence model, with or without attention
(Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473; Luong et al. 2015,
https://arxiv.org/abs/1508.04025)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .attention import AttentionMaker, Memory, find_attention
from .dropout import Dropout
from .linear import Linear
from .loss import output_cross_entropy, smoothed_cross_entropy
from .output_layer import OutputLayer
from .recurrent_encoder import Hidden
from .recurrent_lm import CELLS
from .seq2seq import Written


class DecoderState(NamedTuple):
    """Between two symbols. Several hypotheses may share a sentence: hypotheses are rows
    of `hidden` and `feed`, sentences are rows of `memory`.

    hidden (Hidden): Each of shape (hypotheses, layers, hidden).
    feed (Tensor | None): What is fed back, if anything: the last attentional state, shape
        (hypotheses, hidden), or of the last context, (hypotheses, `feeds_context`).
    memory (Memory | None): What is attended to.
    evidence (Tensor | None): What is added to the logits at every step, if anything: shape
        (hypotheses, symbols).
    """

    hidden: Hidden
    feed: Tensor | None
    memory: Memory | None
    evidence: Tensor | None = None


class RecurrentDecoder(nn.Module):
    """Writes a sentence, one symbol after the other.

    At each step: s = RNN([embedding of the last symbol; last attentional state], s), a
    context c from attention with s as query, and the attentional state
    a = tanh(W [s; c; embedding]), from which the softmax predicts. Without input feeding
    the RNN does not see the attentional state; then a whole sentence is computed at once
    in training.

    Without tanh (`additive_output`) what was written, the state and what is seen are added up
    before the softmax, as Xu et al. do (equation 7): what is seen then says the same of a word
    whatever was written before, so that words are put together that training never showed
    together.

    embedding (nn.Embedding): For the symbols of the target.
    symbols (int): How many there are to predict; the embeddings may have more.
    memory_size (int): Width of what is attended to.
    hidden_size (int): Width of the states.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    attention (str | AttentionMaker): "additive", "dot", "general" or "none", or what makes one.
    input_feeding (bool): Feed the attentional state back (Luong et al., section 3.3).
    gate (bool): At each step, decide how much what attention found counts beside what was
        written: multiply the context by beta = sigmoid(w . s) (Xu et al. 2015,
        https://arxiv.org/abs/1502.03044, section 4.2.1).
    feeds_context (int): With input feeding, feed so many values of the context, the last ones,
        and not the attentional state. Xu et al. feed all: the recurrent layers then know where
        they have looked.
    additive_output (bool): No tanh around the attentional state.
    tied (bool): Use the embeddings as weights of the softmax.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        symbols: int,
        memory_size: int,
        hidden_size: int,
        num_layers: int,
        cell: str,
        attention: str | AttentionMaker,
        input_feeding: bool,
        tied: bool,
        gate: bool = False,
        feeds_context: int = 0,
        additive_output: bool = False,
    ):
        super().__init__()
        width = embedding.embedding_dim
        self.embedding = embedding
        self.dropout = Dropout(0.0)
        self.input_feeding = input_feeding
        self.feeds_context = feeds_context
        self.additive_output = additive_output
        self.feed_size = feeds_context or hidden_size
        make_attention = find_attention(attention)
        self.attention = make_attention(memory_size, hidden_size) if make_attention else None
        self.gate = nn.Linear(hidden_size, 1) if gate and self.attention else None
        inputs = width + (self.feed_size if input_feeding else 0)
        self.rnn = CELLS[cell](inputs, hidden_size, num_layers, batch_first=True)
        seen = hidden_size + width + (memory_size if self.attention else 0)
        self.combine = Linear(seen, hidden_size)
        self.projection: nn.Module = nn.Identity()
        if tied and width != hidden_size:
            self.projection = Linear(hidden_size, width, bias=False)
        self.output = OutputLayer(width if tied else hidden_size, symbols)
        if tied:
            self.output.weight = embedding.weight

    def start(self, hidden: Hidden, states: Tensor, mask: Tensor) -> DecoderState:
        """The state before the first symbol, one hypothesis for each sentence."""
        feed = None
        if self.input_feeding:
            feed = states.new_zeros(len(states), self.feed_size)
        memory = self.attention.remember(states, mask) if self.attention else None
        return DecoderState(hidden, feed, memory)

    def forward(self, state: DecoderState, ids: Tensor) -> Written:
        """Teacher forcing: all symbols are given.

        state (DecoderState): Where to begin.
        ids (Tensor): Shape (batch, time), int64: the symbols before those to predict.
        """
        embedded = self.dropout(self.embedding(ids))
        if not self.input_feeding or ids.shape[1] == 1:
            return self._write(embedded, state)
        steps = []
        for place in range(ids.shape[1]):
            steps.append(self._write(embedded[:, place : place + 1], state))
            state = steps[-1].state
        weights = [step.weights for step in steps if step.weights is not None]
        return Written(
            torch.cat([step.states for step in steps], 1),
            torch.cat(weights, 1) if weights else None,
            state,
        )

    def logits(self, states: Tensor) -> Tensor:
        """(..., hidden), or hidden and symbols with evidence, to (..., symbols)."""
        states, evidence = states.tensor_split([self.rnn.hidden_size], -1)
        found = self.output(self.projection(self.dropout(states)))
        return found + evidence if evidence.shape[-1] else found

    def loss(self, states: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """`smoothed_cross_entropy` of states as for `logits`: shape (n, ...)."""
        if states.shape[-1] > self.rnn.hidden_size:  # evidence
            return smoothed_cross_entropy(self.logits(states), targets, smoothing)
        inputs = self.projection(self.dropout(states))
        return output_cross_entropy(inputs, self.output, targets, smoothing)

    def _write(self, embedded: Tensor, state: DecoderState) -> Written:
        """Recurrence and attention for given symbols: all of them without input feeding,
        one with it."""
        inputs = embedded
        if state.feed is not None:
            inputs = torch.cat([embedded, state.feed[:, None]], -1)
        layers = tuple(item.transpose(0, 1).contiguous() for item in state.hidden)
        if inputs.is_cuda:
            self.rnn.flatten_parameters()
        hidden, last = self.rnn(inputs, layers if len(layers) > 1 else layers[0])
        seen, weights = [hidden, embedded], None
        if state.memory is not None:
            context, weights = self._attend(hidden, state.memory)
            seen.append(context)
        attentional = self.combine(self.dropout(torch.cat(seen, -1)))
        if not self.additive_output:
            attentional = torch.tanh(attentional)
        last = last if isinstance(last, tuple) else (last,)
        feed = None
        if self.input_feeding:
            feed = seen[-1][:, -1, -self.feed_size :] if self.feeds_context else attentional[:, -1]
        new = state._replace(hidden=tuple(item.transpose(0, 1) for item in last), feed=feed)
        if state.evidence is not None:
            evidence = state.evidence[:, None].expand(-1, attentional.shape[1], -1)
            attentional = torch.cat([attentional, evidence], -1)
        return Written(attentional, weights, new)

    def _attend(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The hypotheses of a sentence are queries to the same memory."""
        assert self.attention is not None
        context, weights = (
            memory.by_hypothesis(item, hidden.shape[1])
            for item in self.attention(memory.by_sentence(hidden), memory)
        )
        if self.gate is not None:
            context = torch.sigmoid(self.gate(hidden)) * context
        return context, weights
