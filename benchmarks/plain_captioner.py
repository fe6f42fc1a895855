"""Beam search for captions in PyTorch alone, one picture at a time, as tutorials have it."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from spacy_seqgen.modules.captioner import AttentiveCaptioner
from spacy_seqgen.vocabularies import BOS, EOS, PAD, UNK


@torch.inference_mode()
def caption_singly(
    net: AttentiveCaptioner,
    pictures: Iterable[np.ndarray],
    *,
    size: int,
    max_length: int,
    alpha: float,
) -> Iterator[list[int]]:
    """The best caption of each picture, by log-probability divided by the length penalty of
    Wu et al. (2016).

    pictures (Iterable[np.ndarray]): Each of shape (3, height, width), uint8.
    """
    for pixels in pictures:
        state = net.start(torch.from_numpy(pixels)[None])
        state = net.select(state, np.zeros(size, dtype=np.int64))
        found = torch.full((size, 1), BOS)
        totals = torch.full((size,), float("-inf"))
        totals[0] = 0.0  # all are the same at first
        ended: list[tuple[float, list[int]]] = []
        for step in range(1, max_length + 1):
            written = net.write(state, found[:, -1:])
            log_probs = net.logits(written.states)[:, 0].log_softmax(-1)
            log_probs[:, [PAD, UNK, BOS]] = float("-inf")
            values, places = (totals[:, None] + log_probs).flatten().topk(size)
            parents, symbols = places // log_probs.shape[1], places % log_probs.shape[1]
            penalty = ((5 + step) / 6) ** alpha
            for value, parent, symbol in zip(values, parents, symbols, strict=True):
                if int(symbol) == EOS:
                    ended.append((float(value) / penalty, found[parent, 1:].tolist()))
            totals = values.masked_fill(symbols == EOS, float("-inf"))
            found = torch.cat([found[parents], symbols[:, None]], 1)
            state = net.select(written.state, parents.numpy())
            best = max(ended, default=(float("-inf"), []))[0]
            if float(totals.max()) / ((5 + max_length) / 6) ** alpha <= best:
                break
        else:
            rest = zip(totals, found, strict=True)
            ended += [(float(total) / penalty, ids[1:].tolist()) for total, ids in rest]
        yield max(ended)[1]
