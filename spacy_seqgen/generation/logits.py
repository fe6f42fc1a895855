"""Transforms of the logits, applied in a chain before a symbol is chosen.

Each is a small object that is called with

    logits     Tensor, shape (rows, vocabulary)
    generated  Tensor, shape (rows, steps), int64: what each row has generated so far

and returns new logits of the same shape, with -inf for symbols that may not be chosen.
Components take one of your own (`transform`): docs/howto/plug_in.md.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .options import GenerationOptions

LogitsTransform = Callable[[Tensor, Tensor], Tensor]
NEVER = float("-inf")


class Suppress:
    """Symbols that are never generated, such as `<pad>` and `<unk>`.

    ids (Sequence[int]): The symbols.
    until (int | None): Only during the first `until` steps; None means always.
    """

    def __init__(self, ids: Sequence[int], until: int | None = None):
        self.ids = list(ids)
        self.until = until
        self._added: Tensor | None = None

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        if self.until is not None and generated.shape[1] >= self.until:
            return logits
        if self._added is None or self._added.shape != logits.shape[1:]:
            self._added = torch.zeros_like(logits[0])
            self._added[self.ids] = NEVER
        return logits + self._added


class Behind:
    """Another transform, which sees symbols that were given before those generated.

    begin (Sequence[int]): Those that were given, the same in each row.
    transform (LogitsTransform): The other one.
    """

    def __init__(self, begin: Sequence[int], transform: LogitsTransform):
        self.begin = torch.as_tensor(begin, dtype=torch.int64)
        self.transform = transform

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        begin = self.begin.to(generated.device).expand(len(generated), -1)
        return self.transform(logits, torch.cat([begin, generated], 1))


class RepetitionPenalty:
    """Makes every symbol generated before less likely (Keskar et al. 2019, CTRL,
    section 4.1, https://arxiv.org/abs/1909.05858)."""

    def __init__(self, penalty: float):
        self.penalty = penalty

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        if not generated.shape[1]:
            return logits
        seen = logits.gather(1, generated)
        seen = torch.where(seen > 0, seen / self.penalty, seen * self.penalty)
        return logits.scatter(1, generated, seen)


class NoRepeatNgram:
    """Forbids every symbol that would complete an n-gram a second time (Paulus et al.
    2018, section 2.5, https://arxiv.org/abs/1705.04304)."""

    def __init__(self, size: int):
        self.size = size

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        n, steps = self.size, generated.shape[1]
        if steps < n:
            return logits
        # windows: rows x positions x n; the last n - 1 symbols are about to be extended
        windows = generated.unfold(1, n, 1)
        prefix = generated[:, steps - n + 1 :].unsqueeze(1)
        matches = (windows[:, :, :-1] == prefix).all(-1)
        banned = torch.zeros_like(logits)
        banned.scatter_add_(1, windows[:, :, -1], matches.to(logits.dtype))
        return logits.masked_fill(banned > 0, NEVER)


class Temperature:
    """Divides the logits, so that probabilities p become p ** (1 / temperature),
    normalised again ("reweighting" in Chollet 2018, section 8.1)."""

    def __init__(self, temperature: float):
        self.temperature = temperature

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        if self.temperature < 1e-3:
            # The largest becomes 0 first, so that no temperature can make it infinite.
            # (Where all are forbidden, the largest is -inf and must not be subtracted.)
            largest = logits.amax(-1, keepdim=True)
            logits = logits - largest.clamp(min=torch.finfo(logits.dtype).min)
        return logits / self.temperature


class TopK:
    """Keeps the k most probable symbols (Fan et al. 2018, section 5.4,
    https://arxiv.org/abs/1805.04833)."""

    def __init__(self, k: int):
        self.k = k

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        if self.k >= logits.shape[-1]:
            return logits
        smallest = logits.topk(self.k).values[:, -1:]
        return logits.masked_fill(logits < smallest, NEVER)


class TopP:
    """Keeps the most probable symbols that together reach probability p, the one that
    crosses it included (Holtzman et al. 2020, section 3.1,
    https://arxiv.org/abs/1904.09751)."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        return _keep_mass(logits, logits, self.p)


class MinP:
    """Keeps symbols at least `p` times as probable as the most probable one (Nguyen et
    al. 2024, section 3, https://arxiv.org/abs/2407.01082)."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        ratio = (logits - logits.amax(-1, keepdim=True)).exp()
        return logits.masked_fill(ratio < self.p, NEVER)


class TypicalP:
    """Keeps the symbols whose surprisal is nearest the entropy and that together reach
    probability p (Meister et al. 2023, section 4, https://arxiv.org/abs/2202.00666)."""

    def __init__(self, p: float):
        self.p = p

    def __call__(self, logits: Tensor, generated: Tensor) -> Tensor:
        log_probs = logits.log_softmax(-1)
        finite = log_probs.masked_fill(log_probs == NEVER, 0.0)
        entropy = -(log_probs.exp() * finite).sum(-1, keepdim=True)
        typical = -(-log_probs - entropy).abs()
        return _keep_mass(logits, typical, self.p)


def _keep_mass(logits: Tensor, preference: Tensor, p: float) -> Tensor:
    """Keep symbols in the order of preference until their probability reaches p."""
    order = preference.argsort(dim=-1, descending=True, stable=True)
    probs = logits.softmax(-1).gather(-1, order)
    reached = probs.cumsum(-1) - probs >= p
    reached[:, 0] = False  # at least one is kept
    drop = torch.zeros_like(reached).scatter(-1, order, reached)
    return logits.masked_fill(drop, NEVER)


def allow_end_if_nothing_else(scores: Tensor, end: int) -> Tensor:
    """Where transforms forbid every symbol of a row, the text ends."""
    nothing = scores.amax(1) == NEVER
    if not nothing.any():
        return scores
    scores = scores.clone()
    scores[nothing, end] = 0.0
    return scores


def make_transforms(
    options: GenerationOptions,
    suppress: Sequence[int],
    end: int,
    own: Sequence[LogitsTransform] = (),
) -> list[LogitsTransform]:
    """The chain that the options ask for, in the customary order: what may not be
    chosen at all, transforms of the user's own, penalties, temperature, then the filters.

    options (GenerationOptions): The options.
    suppress (Sequence[int]): Symbols never to be generated.
    end (int): The symbol that ends a text; held back until `min_length`.
    own (Sequence[LogitsTransform]): Others, to come before those of the options.
    RETURNS (list): The transforms; empty if they would only leave out what may not be
        chosen, which a search does in its own, faster way.
    """
    chain: list[LogitsTransform] = [*own]
    if options.repetition_penalty != 1:
        chain.append(RepetitionPenalty(options.repetition_penalty))
    if options.no_repeat_ngram_size:
        chain.append(NoRepeatNgram(options.no_repeat_ngram_size))
    filters: list[LogitsTransform] = []
    if options.top_k:
        filters.append(TopK(options.top_k))
    if options.top_p < 1:
        filters.append(TopP(options.top_p))
    if options.min_p:
        filters.append(MinP(options.min_p))
    if options.typical_p < 1:
        filters.append(TypicalP(options.typical_p))
    if filters and options.temperature:
        if options.temperature != 1:
            chain.append(Temperature(options.temperature))
        chain += filters
    if not chain:
        return []
    if options.min_length:
        chain.insert(0, Suppress([end], until=options.min_length))
    return [Suppress(suppress), *chain]
