"""Translating sentences: from encoded sources to `Translation`s."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from spacy.tokens import Span
from thinc.api import Model

from ..generation import GenerationOptions, TransformMaker
from ..generation.results import Hypothesis
from ..lengths import by_padded_size
from ..models.shim import get_shim
from ..models.translation import pad_sources
from ..modules.seq2seq import Source
from ..translations import Block, Translation
from ..vocabularies import UNK, Encoded, Vocabulary
from .alignment import pool_source, pool_target
from .segments import Segment, join_segments
from .writing import TextWriter

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
    transform (TransformMaker | None): See `Search`.
    """

    model: Model
    target: Vocabulary
    options: GenerationOptions
    attention: bool
    replace_unknown: bool
    lexicon: Mapping[str, str]
    batch_symbols: int
    transform: TransformMaker | None = None

    def __post_init__(self) -> None:
        check_attention(self.model, self.replace_unknown, self.options)
        self.writer = TextWriter(self.model, self.target, self.replace_unknown, self.transform)

    @property
    def keeps_attention(self) -> bool:
        """Whether translations tell where the decoder looked: at nothing, if they are empty."""
        return self.attention and get_shim(self.model).net.has_attention

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
        return self.writer.search(
            lambda rows: self._read([sources[row] for row in rows]),
            [sentence.text for sentence in sentences],
            self.options.for_source(len(sources[0])),
            [self.options.limit_for(len(source)) for source in sources],
            sentences[0].forced,
        )

    def _read(self, sources: Sequence[np.ndarray]) -> Source:
        ids, lengths = pad_sources(sources)
        return torch.from_numpy(ids).to(self.writer.shim.device), torch.from_numpy(lengths)

    def _look(
        self, source: np.ndarray, hypotheses: Sequence[Hypothesis]
    ) -> Sequence[np.ndarray | None]:
        if not self.attention and not self.replace_unknown:
            return [None] * len(hypotheses)
        maps = self.writer.look(self._read([source]), hypotheses)
        return [None if weights is None else weights[:, :-1] for weights in maps]  # no `</s>`

    def _translation(
        self, hypothesis: Hypothesis, weights: np.ndarray | None, sentence: Sentence
    ) -> Translation:
        looked, unknown, span = None, [], sentence.span
        if weights is not None:
            starts = sentence.start + sentence.source.starts
            begins = np.array([token.idx for token in span], dtype=np.int64)
            looked = pool_source(weights, starts, begins)
            if self.replace_unknown:
                unknown = self._replacements(hypothesis.ids.tolist(), looked, span)
        said = self.writer.spell(hypothesis, unknown, sentence.prefix, len(sentence.forced))
        blocks: tuple[Block, ...] | None = () if self.keeps_attention else None
        if self.keeps_attention and looked is not None:
            pooled = pool_target(looked, said.symbols, said.owners, len(said.tokens))
            blocks = ((span.start, pooled),)
        return Translation(
            said.text,
            said.tokens,
            hypothesis.log_prob,
            said.log_probs,
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


def join_translations(
    text: str,
    segments: Sequence[Segment],
    found: Sequence[list[Translation]],
    keeps_attention: bool,
) -> list[Translation]:
    """The translations of a text from those of its segments: all of a single segment,
    the best of several as one."""
    if len(found) == 1:
        return [replace(item, text=join_segments(text, segments, [item.text])) for item in found[0]]
    best = [translations[0] for translations in found]
    whole = join_segments(text, segments, [item.text for item in best])
    if not found:
        return [Translation(whole.strip(), blocks=() if keeps_attention else None)]
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
            blocks if keeps_attention else None,
        )
    ]
