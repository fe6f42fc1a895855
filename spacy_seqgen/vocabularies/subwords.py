"""Subwords: byte pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909),
by the `tokenizers` library."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import srsly
from tokenizers import (
    Encoding,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from .base import SPECIALS, UNK, Encoded, Source, Vocabulary

SPACE = "\u2581"  # stands for the space before a word
# Pieces never reach across these: a word, or one mark, with the space before it.
_WORD = r"\u2581?[^\s\u2581\p{P}\p{S}]+|\u2581?[\p{P}\p{S}]"


class Subwords(Vocabulary):
    """Frequent words are symbols, rare ones are cut into pieces.

    size (int): Most symbols, the four special ones included.
    lowercase (bool): Read everything in lower case.
    min_count (int): Pairs of pieces rarer than this in the training data are not merged.
    dropout (float): Share of the merges that are left out at random in training, so that
        words are seen cut in many ways (Provilkov et al. 2020,
        https://arxiv.org/abs/1910.13267). The `tokenizers` library draws these numbers
        itself: with it, the same seed no longer gives the same weights.
    """

    kind = "spacy-seqgen.Subwords.v1"

    def __init__(
        self,
        *,
        size: int = 8000,
        lowercase: bool = False,
        min_count: int = 2,
        dropout: float = 0.0,
    ):
        super().__init__(min_count=min_count)
        if size <= len(SPECIALS):
            raise ValueError(f"size must be more than {len(SPECIALS)}, got {size}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, got {dropout}")
        self.size = size
        self.lowercase = lowercase
        self.dropout = float(dropout)
        self.merges: list[tuple[str, str]] = []
        self._tokenizer: Tokenizer | None = None
        self._sampling: Tokenizer | None = None

    @property
    def is_of_text(self) -> bool:
        return not self.dropout

    @property
    def settings(self) -> dict[str, Any]:
        names = ("size", "lowercase", "min_count", "dropout")
        return {name: getattr(self, name) for name in names}

    def split(self, source: Source) -> tuple[Sequence[str], np.ndarray]:
        encoding, starts = self._encode(source, self._tokenizer)
        return encoding.tokens, starts

    def encode(self, source: Source) -> Encoded:
        encoding, starts = self._encode(source, self._tokenizer)
        return Encoded(np.array(encoding.ids, dtype=np.int64), starts)

    def sample(self, source: Source) -> Encoded:
        encoding, starts = self._encode(source, self._sampling)
        return Encoded(np.array(encoding.ids, dtype=np.int64), starts)

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols).replace(SPACE, " ").removeprefix(" ")

    def find_word(self, symbol: str) -> str | None:
        # What begins a word may be one. A mark always is: no piece reaches across it.
        is_whole = symbol.startswith(SPACE) or not symbol.isalnum()
        return symbol.removeprefix(SPACE) or None if is_whole else None

    def count(self, sources: Iterable[Source]) -> dict[str, int]:
        """How often each text occurs: what the pieces are is only known when all texts
        are there."""
        return dict(Counter(s if isinstance(s, str) else s.text for s in sources))

    def build(self, counts: dict[str, int]) -> None:
        """Find the pieces.

        counts (dict[str, int]): How often each text occurs.
        RAISES (ValueError): If there is no text.
        """
        tokenizer = self._make(models.BPE(unk_token=SPECIALS[UNK]))
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            min_frequency=self.min_count,
            limit_alphabet=self._alphabet_size(counts),
            special_tokens=list(SPECIALS),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_repeated(counts), trainer)
        found = srsly.json_loads(tokenizer.to_str())["model"]
        symbols = sorted(found["vocab"], key=found["vocab"].__getitem__)
        if len(symbols) <= len(SPECIALS):
            raise ValueError("There is no text to make subwords from. Is the training data empty?")
        self._set_merges(symbols, [tuple(pair) for pair in found["merges"]])

    def _alphabet_size(self, counts: dict[str, int]) -> int:
        """How many characters may be symbols: those that are not rare, and fit."""
        found: Counter[str] = Counter()
        for text, count in counts.items():
            for char, n in Counter(text.lower() if self.lowercase else text).items():
                found[char] += n * count
        common = sum(n >= self.min_count for char, n in found.items() if char != " ")
        common += 1  # what stands for spaces
        return max(1, min(common, self.size - len(SPECIALS)))

    def put_first(self, texts: Iterable[Source]) -> dict[str, Any]:
        data = super().put_first(texts)
        kept = set(data["symbols"])
        return {**data, "merges": [pair for pair in data["merges"] if "".join(pair) in kept]}

    def _with_parts(self, symbols: set[str]) -> set[str]:
        needed = symbols | {symbol for symbol in self.symbols if len(symbol) == 1}
        for one, two in reversed(self.merges):  # parts are made before what they are parts of
            if one + two in needed:
                needed |= {one, two}
        return needed

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "merges": [list(pair) for pair in self.merges]}

    def from_dict(self, data: dict[str, Any]) -> "Subwords":
        super().from_dict(data)
        merges = data.get("merges")
        if not isinstance(merges, list) or not all(
            isinstance(pair, list) and [type(part) for part in pair] == [str, str]
            for pair in merges
        ):
            raise ValueError("'merges' must be a list of pairs of strings")
        known = set(self.symbols)
        for one, two in merges:
            if not {one, two, one + two} <= known:
                raise ValueError(f"'merges' makes {one + two!r}, which is no symbol")
        self._set_merges(self.symbols, [tuple(pair) for pair in merges])
        return self

    def _set_merges(self, symbols: list[str], merges: list[tuple[str, str]]) -> None:
        self._set_symbols(symbols)
        self.merges = merges
        table = {symbol: i for i, symbol in enumerate(symbols)}
        self._tokenizer = self._sampling = self._make(
            models.BPE(table, merges, unk_token=SPECIALS[UNK])
        )
        if self.dropout:
            self._sampling = self._make(
                models.BPE(table, merges, unk_token=SPECIALS[UNK], dropout=self.dropout)
            )

    def _make(self, model: models.BPE) -> Tokenizer:
        tokenizer = Tokenizer(model)
        if self.lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(SPACE, prepend_scheme="first"),
                pre_tokenizers.Split(Regex(_WORD), "isolated"),
            ]
        )
        return tokenizer

    def _encode(self, source: Source, tokenizer: Tokenizer | None) -> tuple[Encoding, np.ndarray]:
        text = source if isinstance(source, str) else source.text
        if tokenizer is None:
            raise ValueError("The vocabulary is empty: initialize or load the pipeline first")
        encoding = tokenizer.encode(text, add_special_tokens=False)
        # A piece with a space before it begins behind the space, where its token does.
        starts = [
            start + (end - start > 1 and text[start].isspace()) for start, end in encoding.offsets
        ]
        return encoding, np.array(starts, dtype=np.int64)


def _repeated(counts: dict[str, int]) -> Iterator[str]:
    for text, count in counts.items():
        for _ in range(count):
            yield text


def make_subwords(
    size: int = 8000, lowercase: bool = False, min_count: int = 2, dropout: float = 0.0
) -> Subwords:
    """Registered as `spacy-seqgen.Subwords.v1` (`@misc`)."""
    return Subwords(size=size, lowercase=lowercase, min_count=min_count, dropout=dropout)
