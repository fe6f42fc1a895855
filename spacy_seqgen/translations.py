"""Translations of a Doc: what a `translator` writes, and what it learns from."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, Token
from spacy.util import get_words_and_spaces

from .tokens import find_tokens

TRANSLATIONS = "spacy_seqgen.translations"
COUNTS = "spacy_seqgen.symbol_counts"
PREFIX = "spacy_seqgen.translation_prefix"

Block = tuple[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Translation:
    """A text in another language for the text of a Doc.

    text (str): The translation.
    tokens (tuple[str, ...]): Its words and marks.
    log_prob (float | None): Natural logarithm of the probability that the model gives to
        it; None for one that was given and not made.
    token_log_probs (tuple[float, ...]): The same for each of `tokens`. The end and what
        stands between tokens make up the rest of `log_prob`.
    finish_reason (str | None): "end" (the model ended the text) or "length" (`max_length`
        was reached); None for one that was given.
    blocks (tuple[Block, ...] | None): Where the decoder looked, piece by piece: the first
        token of the Doc in the piece, and an array of shape (tokens of the translation,
        tokens of the Doc), float16. See `attention`.
    doc (Doc | None): What was translated.
    """

    text: str
    tokens: tuple[str, ...] = ()
    log_prob: float | None = None
    token_log_probs: tuple[float, ...] = ()
    finish_reason: str | None = None
    blocks: tuple[Block, ...] | None = None
    doc: Doc | None = field(default=None, repr=False)

    @property
    def attention(self) -> np.ndarray | None:
        """Where the decoder looked: shape (tokens, tokens of the Doc), float16, or None if
        it was not kept. What is missing from a row's sum to 1 went to the end of the
        sentence."""
        if self.blocks is None:
            return None
        width = max((first + weights.shape[1] for first, weights in self.blocks), default=0)
        width = width if self.doc is None else max(width, len(self.doc))
        whole = np.zeros((sum(len(weights) for _, weights in self.blocks), width), np.float16)
        row = 0
        for first, weights in self.blocks:
            whole[row : row + len(weights), first : first + weights.shape[1]] = weights
            row += len(weights)
        return whole

    def align(self, source: Token | Span) -> list[int]:
        """Which tokens of the translation were written looking at a part of the Doc more
        than at any other token.

        source (Token | Span): A part of the Doc that was translated.
        RETURNS (list[int]): Places in `tokens`.
        RAISES (ValueError): If attention was not kept, or the part is of another text.
        RAISES (TypeError): If it is neither a Token nor a Span.
        """
        first, last = _bounds(source)
        found = [n for n, place in enumerate(self.source_of()) if first <= place < last]
        if self.doc is not None and source.doc is not self.doc and source.doc.text != self.doc.text:
            raise ValueError(f"{source.text!r} is of another Doc than the one that was translated")
        return found

    def align_target(self, target: Token | Span | int) -> list[Span]:
        """The other way: which parts of the Doc a part of the translation was written
        looking at.

        target (Token | Span | int): A part of the Doc that `as_doc` makes, or a place in
            `tokens`.
        RETURNS (list[Span]): Parts of the Doc, in its order, none beside another.
        RAISES (ValueError): If attention was not kept, or the Doc is not known.
        RAISES (IndexError): If there is no such place in `tokens`.
        """
        if self.doc is None:
            raise ValueError("The Doc is not known: take the translation from doc._.translations")
        first, last = self._places(target)
        places = sorted(set(self.source_of()[first:last]))
        spans: list[Span] = []
        for place in places:
            begin = place
            if spans and spans[-1].end == place:
                begin = spans.pop().start
            spans.append(self.doc[begin : place + 1])
        return spans

    def _places(self, target: Token | Span | int) -> tuple[int, int]:
        """From where to where in `tokens`."""
        if isinstance(target, Token | Span):
            # A Doc has tokens for spaces too, where there is more than one.
            first, last = _bounds(target)
            shown = np.cumsum([0, *(not token.is_space for token in target.doc)])
            return int(shown[first]), int(shown[last])
        if not hasattr(target, "__index__"):
            raise TypeError(
                f"What to align must be a Token, a Span, or a place in the tokens, got {target!r}"
            )
        place = operator.index(target)
        if not 0 <= place < len(self.tokens):
            raise IndexError(f"The translation has {len(self.tokens)} tokens, there is no {place}")
        return place, place + 1

    def source_of(self) -> list[int]:
        """For each token of the translation, the token of the Doc looked at most.

        RAISES (ValueError): If attention was not kept.
        """
        if self.blocks is None:
            raise ValueError(
                "There is no attention to align with: the model has none, the setting attention "
                "of the translator is false, or the Doc has other tokens now"
            )
        parts = [first + weights.argmax(1) for first, weights in self.blocks if len(weights)]
        return np.concatenate([*parts, np.empty(0, np.int64)]).tolist()

    def as_doc(self, nlp: Language) -> Doc:
        """The translation as a Doc, with a token for each of `tokens`, for a pipeline of
        its language: `nlp(translation.as_doc(nlp))`.

        nlp (Language): A pipeline of the language of the translation.
        RAISES (TypeError): If it is something else, for instance the name of the language.
        """
        if not isinstance(nlp, Language):
            raise TypeError(f"as_doc takes a pipeline, as spacy.blank makes one, got {nlp!r}")
        tokens = self.tokens or find_tokens(self.text)  # one that was given has none
        return Doc(nlp.vocab, *get_words_and_spaces(tokens, self.text))


def _bounds(part: Token | Span) -> tuple[int, int]:
    if not isinstance(part, Token | Span):
        raise TypeError(f"What to align must be a Token or a Span of the Doc, got {part!r}")
    return (part.i, part.i + 1) if isinstance(part, Token) else (part.start, part.end)


_STORED = [item.name for item in fields(Translation) if item.name != "doc"]
_TUPLES = ("tokens", "token_log_probs")
_LENGTH = "doc_length"  # tokens of the Doc: with others, nobody knows where the decoder looked


def set_translations(doc: Doc, translations: Sequence[Translation]) -> None:
    """RAISES (TypeError): If something else is among them."""
    for item in translations:
        if not isinstance(item, Translation):
            raise TypeError(
                f"doc._.translations takes Translations, not {item!r}; doc._.translation a string"
            )
    doc.user_data[TRANSLATIONS] = [
        {name: _plain(getattr(item, name)) for name in _STORED} | {_LENGTH: len(doc)}
        for item in translations
    ]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def get_translations(doc: Doc) -> list[Translation]:
    return [_restored(item, doc) for item in doc.user_data.get(TRANSLATIONS, ())]


def _restored(item: dict[str, Any], doc: Doc) -> Translation:
    tuples = {name: tuple(item[name]) for name in _TUPLES}
    blocks = item["blocks"]
    if item.get(_LENGTH, len(doc)) != len(doc):
        blocks = None
    if blocks is not None:
        blocks = tuple((first, weights) for first, weights in blocks)
    known = {name: item[name] for name in _STORED}
    return Translation(**{**known, **tuples, "blocks": blocks}, doc=doc)


def set_translation(doc: Doc, text: str) -> None:
    """Give a Doc a translation, for training."""
    if not isinstance(text, str):
        raise ValueError(f"A translation is a string, not {text!r}")
    set_translations(doc, [Translation(text)])


def get_translation(doc: Doc) -> str | None:
    stored = doc.user_data.get(TRANSLATIONS)
    return stored[0]["text"] if stored else None


def set_symbol_counts(doc: Doc, counts: tuple[int, int]) -> None:
    """Note how many symbols a Doc has, and its translation, for batches of similar length."""
    doc.user_data[COUNTS] = counts


def get_symbol_counts(doc: Doc) -> tuple[int, int] | None:
    return doc.user_data.get(COUNTS)


def set_prefix(doc: Doc, text: str) -> None:
    """Say how the translation of a Doc has to begin."""
    if not isinstance(text, str):
        raise ValueError(f"A translation begins with a string, not with {text!r}")
    doc.user_data[PREFIX] = text


def get_prefix(doc: Doc) -> str:
    return doc.user_data.get(PREFIX, "")
