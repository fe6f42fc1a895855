"""The translator as a good engineer writes it in PyTorch alone, in fp32: the other side of
the comparison. Sentences are encoded once, keys of attention are projected once for each
sentence, the softmax sees all steps at once and no padding, the optimizer is fused."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from spacy_seqgen.vocabularies import BOS, EOS, PAD

ROWS = 64  # sentences in a batch
POOL = 64 * ROWS  # sentences sorted by length at a time

Memory = tuple[Tensor, Tensor, Tensor]  # states, their keys, the mask of padding


class Translator(nn.Module):
    """What both decoders share.

    source_size, target_size (int): Numbers of symbols.
    embedding, hidden (int): Widths; each direction of the encoder has half of `hidden`.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        embedding: int = 256,
        hidden: int = 256,
        dropout: float = 0.3,
        label_smoothing: float = 0.1,
    ):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.source = nn.Embedding(source_size, embedding, padding_idx=PAD)
        self.target = nn.Embedding(target_size, embedding, padding_idx=PAD)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=embedding**-0.5)
        self.encoder = nn.GRU(embedding, hidden // 2, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden)
        self.energy = nn.Linear(hidden, 1, bias=False)
        self.combine = nn.Linear(2 * hidden + embedding, hidden)
        self.project = nn.Identity() if hidden == embedding else nn.Linear(hidden, embedding, False)
        self.output = nn.Linear(embedding, target_size)
        self.output.weight = self.target.weight
        self.dropout = nn.Dropout(dropout)

    def read(self, source: Tensor, lengths: Tensor) -> tuple[Memory, Tensor]:
        """What is attended to, and the first state of the decoder, (batch, hidden)."""
        embedded = self.dropout(self.source(source))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True)
        first = torch.tanh(self.bridge(last.transpose(0, 1).flatten(1)))
        return (states, self.key(states), source == PAD), first

    def attend(self, queries: Tensor, memory: Memory) -> Tensor:
        """(batch, queries, hidden) to the contexts, of the same shape."""
        states, keys, padding = memory
        energies = torch.tanh(self.query(queries)[:, :, None] + keys[:, None])
        scores = self.energy(energies)[..., 0].masked_fill(padding[:, None], float("-inf"))
        return scores.softmax(-1) @ states

    def logits(self, states: Tensor, contexts: Tensor, embedded: Tensor) -> Tensor:
        seen = self.dropout(torch.cat([states, embedded, contexts], -1))
        return self.output(self.project(self.dropout(torch.tanh(self.combine(seen)))))

    def write(self, first: Tensor, memory: Memory, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """States and contexts of all steps, (batch, time, hidden) both."""
        raise NotImplementedError

    def step(self, state: Tensor, ids: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Logits and the next state: rows are hypotheses, as many of each sentence."""
        raise NotImplementedError

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """The loss. `target` begins with `<s>` and ends with `</s>`."""
        memory, first = self.read(source, lengths)
        embedded = self.dropout(self.target(target[:, :-1]))
        real = target[:, 1:] != PAD
        states, contexts = self.write(first, memory, embedded)
        logits = self.logits(states[real], contexts[real], embedded[real])
        gold = target[:, 1:][real]
        return F.cross_entropy(logits, gold, label_smoothing=self.label_smoothing)


class AttentionAfter(Translator):
    """Attention after the recurrence, for all steps at once: ours, weight for weight."""

    def __init__(self, source_size: int, target_size: int, **sizes):
        super().__init__(source_size, target_size, **sizes)
        self.decoder = nn.GRU(self.target.embedding_dim, self.key.out_features, batch_first=True)

    def write(self, first: Tensor, memory: Memory, embedded: Tensor) -> tuple[Tensor, Tensor]:
        states, _ = self.decoder(embedded, first[None])
        return states, self.attend(states, memory)

    def step(self, state: Tensor, ids: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        embedded = self.target(ids)
        state = self.decoder(embedded[:, None], state[None])[1][0]
        context = self.attend(state.view(len(memory[0]), -1, state.shape[1]), memory)
        return self.logits(state, context.flatten(0, 1), embedded), state


class AttentionInside(Translator):
    """Attention inside the recurrence (Bahdanau et al. 2015): the last state asks, and what
    it finds goes into the cell."""

    def __init__(self, source_size: int, target_size: int, **sizes):
        super().__init__(source_size, target_size, **sizes)
        hidden = self.key.out_features
        self.decoder = nn.GRUCell(self.target.embedding_dim + hidden, hidden)

    def write(self, first: Tensor, memory: Memory, embedded: Tensor) -> tuple[Tensor, Tensor]:
        state, states, contexts = first, [], []
        for symbols in embedded.unbind(1):
            context = self.attend(state[:, None], memory)[:, 0]
            state = self.decoder(torch.cat([symbols, context], -1), state)
            states.append(state)
            contexts.append(context)
        return torch.stack(states, 1), torch.stack(contexts, 1)

    def step(self, state: Tensor, ids: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        embedded = self.target(ids)
        context = self.attend(state.view(len(memory[0]), -1, state.shape[1]), memory).flatten(0, 1)
        state = self.decoder(torch.cat([embedded, context], -1), state)
        return self.logits(state, context, embedded), state


class Training:
    """AdamW with clipping, on batches of 64 sentences of similar length.

    pairs (Sequence): Ids of sources and translations, without `<s>` and `</s>`.
    """

    def __init__(
        self,
        net: Translator,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        *,
        rows: int = ROWS,
        learn_rate: float = 1e-3,
    ):
        self.net = net
        self.optimizer = torch.optim.AdamW(
            net.parameters(), learn_rate, weight_decay=0.0, fused=True
        )
        self.rows = rows
        self.examples = 0
        self.batches = self._batches(
            [(torch.tensor([*one, EOS]), torch.tensor([BOS, *two, EOS])) for one, two in pairs]
        )

    def _batches(self, pairs: list[tuple[Tensor, Tensor]]) -> Iterator[list[tuple[Tensor, Tensor]]]:
        rng = random.Random(0)
        while True:
            rng.shuffle(pairs)
            for first in range(0, len(pairs), POOL):
                pool = sorted(pairs[first : first + POOL], key=lambda p: (len(p[1]), len(p[0])))
                found = [pool[i : i + self.rows] for i in range(0, len(pool), self.rows)]
                rng.shuffle(found)
                yield from found

    def run(self, steps: int) -> int:
        """RETURNS (int): Symbols of translations learned from, `</s>` included."""
        self.net.train()
        symbols = 0
        for _ in range(steps):
            sources, targets = zip(*next(self.batches), strict=True)
            loss = self.net(*pad(sources), pad(targets)[0])
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.examples += len(targets)
            symbols += sum(len(ids) - 1 for ids in targets)
        return symbols


def pad(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of ids, padded at the end, and their lengths."""
    lengths = torch.tensor([len(ids) for ids in rows])
    return pad_sequence(list(rows), batch_first=True, padding_value=PAD), lengths
