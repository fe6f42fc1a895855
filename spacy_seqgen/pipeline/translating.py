"""Translating sentences: from encoded sources to `Translation`s."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from spacy.tokens import Span
from thinc.api import Model

from ..generation import GenerationOptions, Search, Symbols
from ..generation.results import Hypothesis
from ..lengths import by_padded_size
from ..models.shim import get_shim
from ..models.translation import pad_pairs, pad_sources
from ..modules.coverage import CoverageSteps
from ..tokens import find_tokens
from ..translations import Translation
from ..vocabularies import BOS, EOS, PAD, UNK, Encoded, Vocabulary
from .alignment import find_owners, pool_source, pool_target
from .segments import Segment, join_segments

_MAX_LOGITS = 2**22  # computed at once: 16 MB


@dataclass
class Sentence:
    """What is translated at once.

    span (Span): Its tokens.
    text (str): Its text.
    start (int): Where that begins in the text of the Doc.
    source (Encoded): Its symbols.
    prefix (str): How the translation begins,
    forced (np.ndarray): and its ids: shape (symbols,).
    """

    span: Span
    text: str
    start: int
    source: Encoded
    prefix: str
    forced: np.ndarray


@dataclass
class SentenceTranslator:
    """
    model (Model[PairBatch, Any]): The encoder-decoder.
    target (Vocabulary): What it writes.
    options (GenerationOptions): How to search.
    attention (bool): Find out where the decoder looked, if the model can tell.
    replace_unknown (bool): Let it write `<unk>`, and put the word there that it looked at.
    lexicon (Mapping[str, str]): What to put there instead.
    batch_symbols (int): Most symbols at once.
    """

    model: Model
    target: Vocabulary
    options: GenerationOptions
    attention: bool
    replace_unknown: bool
    lexicon: Mapping[str, str]
    batch_symbols: int

    def __post_init__(self) -> None:
        self.shim = get_shim(self.model)
        check_attention(self.model, self.replace_unknown, self.options)
        self._trim: Callable[[str], str] = str

    def translate(self, sentences: Sequence[Sentence]) -> list[list[Translation]]:
        """
        RETURNS (list[list[Translation]]): Those of each sentence, the best first.
        """
        results: list[list[Translation]] = [[] for _ in sentences]
        for group in self._groups(sentences):
            members = [sentences[i] for i in group]
            for i, hypotheses in zip(group, self._search(members), strict=True):
                maps = self._look(sentences[i].source.ids, hypotheses)
                results[i] = [
                    self._translation(hypothesis, weights, sentences[i])
                    for hypothesis, weights in zip(hypotheses, maps, strict=True)
                ]
        return results

    def _groups(self, sentences: Sequence[Sentence]) -> Iterator[list[int]]:
        """What is searched for together: sentences of similar length, within the limit;
        of the same length where the options depend on it, and with the same beginning."""
        options = self.options
        by_length = bool(options.min_length_ratio)

        def key(i: int) -> tuple[int, list[int]]:
            source = sentences[i].source.ids
            return len(source) if by_length else 0, sentences[i].forced.tolist()

        hypotheses = max(options.beam_size, options.num_samples)
        limit = max(1, self.batch_symbols // hypotheses)
        # However short the sources are: what is computed for all symbols is bounded too.
        least = limit * hypotheses * len(self.target.symbols) // _MAX_LOGITS
        for _, same in groupby(sorted(range(len(sentences)), key=key), key):
            members = list(same)
            lengths = [max(len(sentences[i].source.ids), least) for i in members]
            for group in by_padded_size(lengths, limit):
                yield [members[place] for place in group]

    def _search(self, sentences: Sequence[Sentence]) -> list[list[Hypothesis]]:
        sources = [sentence.source.ids for sentence in sentences]
        forced = sentences[0].forced
        options = self.options.for_source(len(sources[0]))
        suppress = (PAD, BOS) if self.replace_unknown else (PAD, UNK, BOS)
        symbols = Symbols(self.target.symbols, EOS, suppress, self.target.decode)
        with self.shim.inference() as net:
            steps = CoverageSteps(net) if options.coverage_beta else None

            def start(rows: Sequence[int]) -> tuple[Any, np.ndarray]:
                ids, lengths = pad_sources([sources[row] for row in rows])
                tensor = torch.from_numpy(ids).to(self.shim.device)
                state = net.start(tensor, torch.from_numpy(lengths))
                last = BOS
                weights = None
                if len(forced):
                    given = torch.tensor([[BOS, *forced[:-1]]] * len(rows), device=tensor.device)
                    written = net.write(state, given, wants_weights=steps is not None)
                    state, weights, last = written.state, written.weights, int(forced[-1])
                if steps:
                    state = steps.start(state, tensor, weights)
                return state, np.full(len(rows), last)

            search = Search(
                options,
                (steps or net).step,
                symbols,
                select=(steps or net).select,
                coverage=steps.penalty if steps else None,
            )
            self._trim = search.stop.trim if search.stop else str
            limits = [options.limit_for(len(source)) for source in sources]
            found = search.run(start, [sentence.text for sentence in sentences], limits)
            return self._with_forced(net, sources, forced, found) if len(forced) else found

    def _with_forced(
        self,
        net: Any,
        sources: Sequence[np.ndarray],
        forced: np.ndarray,
        found: list[list[Hypothesis]],
    ) -> list[list[Hypothesis]]:
        """Put what was given before what was found."""
        batch = pad_pairs(sources, [forced] * len(sources))
        arrays = batch.sources, batch.inputs, batch.targets
        ids, inputs, targets = (torch.from_numpy(item).to(self.shim.device) for item in arrays)
        nll, _ = net.read(ids, torch.from_numpy(batch.lengths), inputs, targets)
        given = -nll[:, : len(forced)].float().cpu().numpy()
        return [
            [
                replace(
                    item,
                    ids=np.concatenate([forced, item.ids]),
                    log_probs=np.concatenate([log_probs, item.log_probs]),
                )
                for item in items
            ]
            for items, log_probs in zip(found, given, strict=True)
        ]

    def _look(
        self, source: np.ndarray, hypotheses: Sequence[Hypothesis]
    ) -> Iterator[np.ndarray | None]:
        """Where the decoder looked while it wrote: it reads what it wrote once more."""
        wanted = self.attention or self.replace_unknown
        with self.shim.inference() as net:
            for hypothesis in hypotheses:
                if not wanted or not net.has_attention or not len(hypothesis.ids):
                    yield None
                    continue
                batch = pad_pairs([source], [hypothesis.ids])
                tensors = (torch.from_numpy(item) for item in (batch.sources, batch.inputs))
                ids, inputs = (item.to(self.shim.device) for item in tensors)
                weights = net.look(ids, torch.from_numpy(batch.lengths), inputs)
                # Without the end of the target and of the source.
                yield weights[0, :-1, :-1].float().cpu().numpy()

    def _translation(
        self, hypothesis: Hypothesis, weights: np.ndarray | None, sentence: Sentence
    ) -> Translation:
        ids = hypothesis.ids.tolist()
        looked, unknown, span = None, [], sentence.span
        if weights is not None:
            starts = sentence.start + sentence.source.starts
            begins = np.array([token.idx for token in span], dtype=np.int64)
            looked = pool_source(weights, starts, begins)
            if self.replace_unknown:
                unknown = self._replacements(ids, looked, span)
        pieces = [self.target.decode(ids[: n + 1], unknown) for n in range(len(ids))]
        if len(sentence.forced):
            pieces = _begun_with(sentence.prefix, pieces, len(sentence.forced))
        text = pieces[-1] if pieces else ""
        if hypothesis.finish_reason == "stop":
            text = self._trim(text)
        tokens = find_tokens(text)
        symbols, owners = find_owners(pieces, text)
        # A symbol that reaches across several tokens counts for the first of them.
        log_probs = np.zeros(len(tokens))
        shown, first = np.unique(symbols, return_index=True)
        np.add.at(log_probs, owners[first], hypothesis.log_probs[shown])
        blocks = None
        if self.attention and looked is not None:
            blocks = ((span.start, pool_target(looked, symbols, owners, len(tokens))),)
        return Translation(
            text,
            tokens,
            hypothesis.log_prob,
            tuple(log_probs.tolist()),
            hypothesis.finish_reason,
            blocks,
        )

    def _replacements(self, ids: Sequence[int], looked: np.ndarray, span: Span) -> list[str]:
        """For each `<unk>` what the lexicon has for the word looked at, or the word."""
        found = []
        for place in np.flatnonzero(np.array(ids) == UNK).tolist():
            word = span[int(looked[place].argmax())].text
            found.append(self.lexicon.get(word, self.lexicon.get(word.lower(), word)))
        return found


def check_attention(model: Model, replace_unknown: bool, options: GenerationOptions) -> None:
    """RAISES (ValueError): If settings need attention and the model has none."""
    if get_shim(model).net.has_attention:
        return
    wanted = {"replace_unknown": replace_unknown, "coverage_beta": options.coverage_beta}
    for name, value in wanted.items():
        if value:
            raise ValueError(
                f"{name} needs a model with attention, and this one has none: switch it off, or "
                'train a model whose setting attention is not "none"'
            )


def _begun_with(prefix: str, pieces: Sequence[str], forced: int) -> list[str]:
    """What was given is written as it was given, whatever the vocabulary makes of it.

    pieces (Sequence[str]): The text up to and including each symbol.
    forced (int): The symbols of the prefix.
    """
    known = pieces[forced - 1]
    begun = [prefix[: len(piece)] for piece in pieces[: forced - 1]]
    rest = [piece[len(known) :] for piece in pieces[forced - 1 :]]
    if prefix[-1:].isspace():
        rest = [piece.lstrip(" ") for piece in rest]
    return [*begun, *(prefix + piece for piece in rest)]


def join_translations(
    text: str, segments: Sequence[Segment], found: Sequence[list[Translation]]
) -> list[Translation]:
    """The translations of a text from those of its segments: all of a single segment,
    the best of several as one."""
    if len(found) == 1:
        return [replace(item, text=join_segments(text, segments, [item.text])) for item in found[0]]
    best = [translations[0] for translations in found]
    whole = join_segments(text, segments, [item.text for item in best])
    if not found:
        return [Translation(whole.strip())]
    reasons = {item.finish_reason for item in best}
    reason = next(name for name in ("length", "stop", "end") if name in reasons)
    blocks = tuple(block for item in best for block in item.blocks or ())
    return [
        Translation(
            whole,
            tuple(token for item in best for token in item.tokens),
            sum(item.log_prob or 0.0 for item in best),
            tuple(value for item in best for value in item.token_log_probs),
            reason,
            blocks or None,
        )
    ]
