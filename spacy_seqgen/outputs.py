"""What the components write on a Doc, and how a user reads it.

Results are kept in `doc.user_data` as plain lists, dicts, strings and arrays, so that
they survive `DocBin(store_user_data=True)`, `doc.to_bytes`, pickling and
`nlp.pipe(n_process=2)`. The extension attributes turn them into typed objects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span, Token

CONTINUATIONS = "spacy_seqgen.continuations"
SURPRISAL = "spacy_seqgen.surprisal"
ACCURACY = "spacy_seqgen.accuracy"
TRANSLATIONS = "spacy_seqgen.translations"


@dataclass(frozen=True)
class Continuation:
    """A text that a language model wrote after a prompt.

    text (str): The new text, without the prompt.
    log_prob (float): Natural logarithm of the probability that the model gives to all
        the new symbols, at temperature 1 and without any of the restrictions under
        which they were chosen. Includes the end of the text or the stop string if one
        was reached.
    finish_reason (str): "end" (the model ended the text), "stop" (a stop string was
        met), or "length" (`max_length` was reached).
    """

    text: str
    log_prob: float
    finish_reason: str


def set_continuations(doc: Doc, continuations: Sequence[Continuation]) -> None:
    doc.user_data[CONTINUATIONS] = [{**vars(item)} for item in continuations]


def get_continuations(doc: Doc) -> list[Continuation]:
    return [Continuation(**item) for item in doc.user_data.get(CONTINUATIONS, ())]


def get_continuation(doc: Doc) -> str | None:
    stored = doc.user_data.get(CONTINUATIONS)
    return stored[0]["text"] if stored else None


def set_surprisal(doc: Doc, bits: np.ndarray) -> None:
    """Store the surprisal of each character of a Doc, shape (len(doc.text),), in bits."""
    doc.user_data[SURPRISAL] = bits.astype(np.float32)


def _bits(doc: Doc, start: int = 0, end: int | None = None) -> float | None:
    stored = doc.user_data.get(SURPRISAL)
    if stored is None:
        return None
    return float(np.sum(stored[start:end], dtype=np.float64))


def get_doc_surprisal(doc: Doc) -> float | None:
    return _bits(doc)


def get_span_surprisal(span: Span) -> float | None:
    if not len(span):
        return None if span.doc.user_data.get(SURPRISAL) is None else 0.0
    last = span[-1]
    return _bits(span.doc, span[0].idx, last.idx + len(last.text_with_ws))


def get_token_surprisal(token: Token) -> float | None:
    return _bits(token.doc, token.idx, token.idx + len(token.text_with_ws))


def get_bits_per_char(doc: Doc) -> float | None:
    stored = doc.user_data.get(SURPRISAL)
    if stored is None or not len(stored):
        return None
    return float(np.mean(stored, dtype=np.float64))


def get_perplexity(doc: Doc) -> float | None:
    bits = get_bits_per_char(doc)
    return None if bits is None else perplexity_of(bits)


def perplexity_of(bits: float) -> float:
    """Perplexity per character, from bits per character."""
    return 2.0**bits if bits < 1000 else math.inf


@dataclass(frozen=True, eq=False)
class Translation:
    """A text in another language for the text of a Doc.

    text (str): The translation.
    tokens (tuple[str, ...]): Its words and marks.
    log_prob (float | None): Natural logarithm of the probability that the model gives to
        it; None for one that was given and not made.
    finish_reason (str | None): "end" (the model ended the text) or "length" (`max_length`
        was reached); None for one that was given.
    attention (np.ndarray | None): Shape (tokens, tokens of the Doc), float16: where the
        decoder looked. What is missing from a row's sum to 1 went to the end of the
        sentence.
    """

    text: str
    tokens: tuple[str, ...] = ()
    log_prob: float | None = None
    finish_reason: str | None = None
    attention: np.ndarray | None = None

    def align(self, source: Token | Span) -> list[int]:
        """Which tokens of the translation were written looking at a part of the Doc more
        than at any other token.

        source (Token | Span): A part of the Doc that was translated.
        RETURNS (list[int]): Places in `tokens`.
        RAISES (ValueError): If attention was not kept.
        """
        chosen = self.source_of()
        if isinstance(source, Token):
            return [n for n, place in enumerate(chosen) if place == source.i]
        return [n for n, place in enumerate(chosen) if source.start <= place < source.end]

    def source_of(self) -> list[int]:
        """For each token of the translation, the token of the Doc looked at most.

        RAISES (ValueError): If attention was not kept.
        """
        if self.attention is None:
            raise ValueError(
                "There is no attention to align with: the model has none, or the setting "
                "attention of the translator is false"
            )
        return self.attention.argmax(1).tolist()


def set_translations(doc: Doc, translations: Sequence[Translation]) -> None:
    doc.user_data[TRANSLATIONS] = [
        {**vars(item), "tokens": list(item.tokens)} for item in translations
    ]


def get_translations(doc: Doc) -> list[Translation]:
    stored = doc.user_data.get(TRANSLATIONS, ())
    return [Translation(**{**item, "tokens": tuple(item["tokens"])}) for item in stored]


def set_translation(doc: Doc, text: str) -> None:
    """Give a Doc a translation, for training."""
    set_translations(doc, [Translation(text)])


def get_translation(doc: Doc) -> str | None:
    stored = doc.user_data.get(TRANSLATIONS)
    return stored[0]["text"] if stored else None


def install_extensions() -> None:
    """Add the attributes to Doc, Span and Token. Does nothing the second time."""
    for owner, name, options in _EXTENSIONS:
        if not owner.has_extension(name):
            owner.set_extension(name, **options)


_EXTENSIONS: list[tuple[Any, str, dict[str, Any]]] = [
    (Doc, "continuation", {"getter": get_continuation}),
    (Doc, "continuations", {"getter": get_continuations, "setter": set_continuations}),
    (Doc, "surprisal", {"getter": get_doc_surprisal}),
    (Doc, "bits_per_char", {"getter": get_bits_per_char}),
    (Doc, "perplexity", {"getter": get_perplexity}),
    (Doc, "translation", {"getter": get_translation, "setter": set_translation}),
    (Doc, "translations", {"getter": get_translations, "setter": set_translations}),
    (Span, "surprisal", {"getter": get_span_surprisal}),
    (Token, "surprisal", {"getter": get_token_surprisal}),
]
