"""Words as symbols."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import spacy
from spacy.tokens import Span
from spacy.util import get_lang_class

from .base import SPECIALS, Source, Vocabulary

_QUOTES = ('"',)  # open and close with the same mark
# In counts: how often a symbol had no space before it, none behind, and nothing before it.
_GLUED_LEFT, _GLUED_RIGHT, _FIRST = _PREFIXES = ("\u2581<", "\u2581>", "\u2581^")


class Words(Vocabulary):
    """Every token of spaCy's tokenizer is a symbol.

    Which words and marks stand without a space before or behind them is learned from the training
    data, so that what is generated is text and not a row of tokens.

    lang (str): Language of the tokenizer, for strings; "xx" for any. A Doc brings its own
        tokens.
    size (int): Most symbols, the four special ones included; 0 for no limit. The most
        frequent ones are kept.
    lowercase (bool): Read everything in lower case.
    min_count (int): Words rarer than this in the training data become `<unk>`.
    """

    kind = "spacy-seqgen.Words.v1"

    def __init__(
        self, *, lang: str = "xx", size: int = 0, lowercase: bool = False, min_count: int = 1
    ):
        super().__init__(min_count=min_count)
        if size and size <= len(SPECIALS):
            raise ValueError(f"size must be 0, or more than {len(SPECIALS)}, got {size}")
        try:
            get_lang_class(lang)
        except ImportError as error:
            raise ValueError(f"lang must be a language that spaCy knows, got {lang!r}") from error
        self.lang = lang
        self.size = size
        self.lowercase = lowercase
        self.glued: dict[str, list[str]] = {"left": [], "right": []}
        self._tokenize = spacy.blank(lang).tokenizer

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "lang": self.lang,
            "size": self.size,
            "lowercase": self.lowercase,
            "min_count": self.min_count,
        }

    def split(self, source: Source) -> tuple[Sequence[str], np.ndarray]:
        doc = self._tokenize(source) if isinstance(source, str) else source
        first = doc.start_char if isinstance(doc, Span) else 0
        tokens = [token for token in doc if not token.is_space]
        words = [token.lower_ if self.lowercase else token.text for token in tokens]
        return words, np.array([token.idx - first for token in tokens], dtype=np.int64)

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(self._with_spaces(symbols))

    def count(self, sources: Iterable[Source]) -> dict[str, int]:
        """How often each word occurs; and, under names of their own, how often marks
        stand without a space."""
        counts: Counter[str] = Counter()
        for source in sources:
            words, starts = self.split(source)
            text = source if isinstance(source, str) else source.text
            counts.update(words)
            for word, start in zip(words, starts.tolist(), strict=True):
                end = start + len(word)
                counts[_FIRST + word] += start == 0
                if word in _QUOTES:
                    continue
                before, behind = text[max(0, start - 1) : start], text[end : end + 1]
                # Of a letter only what two words have between them counts: "can" and "not". A
                # mark beside it says of itself that it is glued.
                is_glued = _in_word(before) if _in_word(word[0]) else _is_seen(before)
                counts[_GLUED_LEFT + word] += is_glued
                counts[_GLUED_RIGHT + word] += not _in_word(word[-1]) and _is_seen(behind)
        return dict(counts)

    def build(self, counts: dict[str, int]) -> None:
        words = {
            word: n
            for word, n in counts.items()
            if word not in SPECIALS and not word.startswith(_PREFIXES)
        }
        before = {word: n - counts.get(_FIRST + word, 0) for word, n in words.items()}
        self.glued = {
            name: sorted(w for w, n in total.items() if counts.get(prefix + w, 0) * 2 > n)
            for name, prefix, total in (
                ("left", _GLUED_LEFT, before),
                ("right", _GLUED_RIGHT, words),
            )
        }
        if self.size:
            ranked = sorted(words.items(), key=lambda item: (-item[1], item[0]))
            words = dict(ranked[: self.size - len(SPECIALS)])
        super().build(words)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "glued": self.glued}

    def from_dict(self, data: dict[str, Any]) -> "Words":
        super().from_dict(data)
        glued = data.get("glued")
        if not isinstance(glued, dict) or not all(
            isinstance(glued.get(side), list) and all(isinstance(w, str) for w in glued[side])
            for side in ("left", "right")
        ):
            raise ValueError("'glued' must name the marks without a space on the left and right")
        self.glued = {side: list(glued[side]) for side in ("left", "right")}
        return self

    def _with_spaces(self, words: Iterable[str]) -> Iterator[str]:
        left, right = set(self.glued["left"]), set(self.glued["right"])
        glue, is_open = True, False
        for word in words:
            if word in _QUOTES:
                yield word if glue or is_open else " " + word
                is_open = not is_open
                glue = is_open
                continue
            yield word if glue or word in left else " " + word
            glue = word in right


def _in_word(character: str) -> bool:
    """Whether it is a letter, a digit, or a sign that belongs to one, as for vowels in Hindi."""
    is_sign = bool(character) and unicodedata.category(character).startswith("M")
    return character.isalnum() or is_sign


def _is_seen(character: str) -> bool:
    return bool(character) and not character.isspace()


def make_words(
    lang: str = "xx", size: int = 0, lowercase: bool = False, min_count: int = 1
) -> Words:
    """Registered as `spacy-seqgen.Words.v1` (`@misc`)."""
    return Words(lang=lang, size=size, lowercase=lowercase, min_count=min_count)
