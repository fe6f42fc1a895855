"""Beam search in PyTorch alone, all hypotheses of a batch at once."""

import torch
from torch import Tensor

from spacy_seqgen.vocabularies import BOS, EOS, PAD, UNK

from .plain_translator import Translator, pad


@torch.inference_mode()
def beam_search(
    net: Translator, sources: list[list[int]], *, size: int, max_length: int, alpha: float
) -> list[list[int]]:
    """The best translation of each sentence, by log-probability divided by the length
    penalty of Wu et al. (2016).

    Hypotheses that have ended stay in the beam and go on with padding, at no cost. The
    search is over when there are no others.
    """
    memory, first = net.read(*pad([torch.tensor([*ids, EOS]) for ids in sources]))
    rows = len(sources)
    state = first.repeat_interleave(size, 0)
    found = torch.full((rows, size, 1), BOS)
    totals = torch.full((rows, size), float("-inf"))
    totals[:, 0] = 0.0  # all are the same at first
    lengths = torch.zeros(rows, size)
    done = torch.zeros(rows, size, dtype=torch.bool)
    offsets = torch.arange(rows)[:, None] * size
    for step in range(1, max_length + 1):
        logits, state = net.step(state, found[:, :, -1].flatten(), memory)
        log_probs = logits.log_softmax(-1).view(rows, size, -1)
        log_probs[:, :, [PAD, UNK, BOS]] = float("-inf")
        # No more than `size` symbols of a hypothesis can come into the next beam.
        values, symbols = log_probs.topk(size)
        values.masked_fill_(done[:, :, None], float("-inf"))[:, :, 0].masked_fill_(done, 0.0)
        symbols.masked_fill_(done[:, :, None], PAD)
        candidates = (totals[:, :, None] + values).flatten(1)
        lengths = lengths.masked_fill(~done, step)
        penalty = _penalty(lengths, alpha).repeat_interleave(size, 1)
        places = (candidates / penalty).topk(size).indices
        parents = places // size
        chosen = symbols.flatten(1).gather(1, places)
        totals = candidates.gather(1, places)
        lengths = lengths.gather(1, parents)
        done = done.gather(1, parents) | (chosen == EOS)
        history = found.gather(1, parents[:, :, None].expand(-1, -1, step))
        found = torch.cat([history, chosen[:, :, None]], -1)
        if done.all():
            break
        state = state.index_select(0, (offsets + parents).flatten())
    best = (totals / _penalty(lengths, alpha)).argmax(1)
    return [_trimmed(ids) for ids in found[torch.arange(rows), best].tolist()]


def _penalty(lengths: Tensor, alpha: float) -> Tensor:
    return ((5 + lengths) / 6) ** alpha


def _trimmed(ids: list[int]) -> list[int]:
    ids = ids[1:]
    return ids[: ids.index(EOS)] if EOS in ids else ids
