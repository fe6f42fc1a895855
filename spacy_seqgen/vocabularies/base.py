"""Vocabularies: the two-way table between text and ids.

Every component owns one. They share an interface, `Vocabulary`, so that a model
does not care whether a symbol is a character, a word or a subword.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from spacy.tokens import Doc, Span

# A text. Where tokens are symbols, a Doc or a part of one brings its own.
Source = str | Doc | Span

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
REPLACEMENT = "\ufffd"  # what `decode` writes for <unk>


class Encoded(NamedTuple):
    """A text as ids.

    ids (np.ndarray): Shape (symbols,), int64.
    starts (np.ndarray): Shape (symbols,), int64. The offset of the character in the
        original text at which each symbol begins. Never decreases.
    """

    ids: np.ndarray
    starts: np.ndarray


class Vocabulary:
    """The interface. A subclass splits text into symbols (`split`) and says how
    symbols become text again (`join`); ids, counting, checks and files are here.

    The first four ids are the same everywhere: `<pad> <unk> <s> </s>`.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    def __init__(self, *, min_count: int = 1):
        if min_count < 1:
            raise ValueError(f"min_count must be 1 or more, got {min_count}")
        self.min_count = min_count
        self.symbols: list[str] = list(SPECIALS)
        self._ids: dict[str, int] = {}

    # What a subclass must say

    def split(self, source: Source) -> tuple[Sequence[str], np.ndarray]:
        """The symbols of a text, and the offset at which each begins."""
        raise NotImplementedError

    def join(self, symbols: Iterable[str]) -> str:
        """The text that symbols stand for."""
        raise NotImplementedError

    def find_word(self, symbol: str) -> str | None:
        """The word that a symbol stands for, to look up its vector; None for a part of a
        word."""
        return symbol

    @property
    def is_of_text(self) -> bool:
        """Whether a text, or a Doc of it, always has the same symbols: not where tokens are
        symbols, or texts are cut in any of several ways. Then training keeps them; a subclass
        that changes `split` or `sample` has to say so."""
        return False

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments with which this vocabulary was made."""
        return {"min_count": self.min_count}

    # What follows from it

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ids

    @property
    def is_built(self) -> bool:
        """Whether it holds any symbol beside the four special ones."""
        return len(self.symbols) > len(SPECIALS)

    def encode(self, source: Source) -> Encoded:
        """Turn a text into ids. An unknown symbol becomes `<unk>`; nothing raises.

        source (Source): The text.
        RETURNS (Encoded): Ids and the offsets of their first characters.
        """
        symbols, starts = self.split(source)
        ids = [self._ids.get(symbol, UNK) for symbol in symbols]
        return Encoded(np.array(ids, dtype=np.int64), starts)

    def sample(self, source: Source) -> Encoded:
        """Like `encode`, for training: where there are several ways to cut a text into
        symbols, any of them."""
        return self.encode(source)

    def encode_all(self, texts: Sequence[Source]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of several texts, one after the other, and how many each has."""
        found = [self.encode(text).ids for text in texts]
        lengths = np.array([len(ids) for ids in found], dtype=np.int64)
        return np.concatenate([*found, np.empty(0, np.int64)]), lengths

    def decode(self, ids: Iterable[int], unknown: Iterable[str] = ()) -> str:
        """Turn ids into text. `<pad>`, `<s>` and `</s>` vanish.

        ids (Iterable[int]): The ids.
        unknown (Iterable[str]): What to write for each `<unk>`, in their order; U+FFFD
            for those behind the last.
        RETURNS (str): The text.
        """
        if not unknown:
            return self.join(filter(None, map(self._shown.__getitem__, ids)))
        rest = iter(unknown)
        shown = (next(rest, REPLACEMENT) if i == UNK else self._shown[i] for i in ids)
        return self.join(filter(None, shown))

    def count(self, sources: Iterable[Source]) -> dict[str, int]:
        """How often each symbol occurs, for `build`."""
        counts: Counter[str] = Counter()
        for source in sources:
            counts.update(self.split(source)[0])
        return dict(counts)

    def build(self, counts: dict[str, int]) -> None:
        """Fill the table from counts, the most frequent symbol first.

        counts (dict[str, int]): How often each symbol occurs.
        RAISES (ValueError): If no symbol is left.
        """
        if not isinstance(counts, dict) or not all(
            isinstance(symbol, str) and isinstance(n, int) for symbol, n in counts.items()
        ):
            raise ValueError("the counts of symbols must be a table: the symbol, and how often")
        # Text that has "<unk>" in it, as a corpus may that others prepared, names no symbol twice.
        kept = [
            (-n, symbol)
            for symbol, n in counts.items()
            if n >= self.min_count and symbol not in SPECIALS
        ]
        if not kept:
            raise ValueError(
                f"No symbol occurs {self.min_count} time(s) or more in the training data, so "
                "there is no vocabulary to build. Is the text empty, or min_count too high? (The "
                "reader spacy-seqgen.plain_text.v1 is for text files; spacy.Corpus.v1 is not.)"
            )
        self._set_symbols([*SPECIALS, *(symbol for _, symbol in sorted(kept))])

    def put_first(self, texts: Iterable[Source]) -> dict[str, Any]:
        """Give the lowest ids to the symbols that some texts are made of, and keep the others
        behind them.

        texts (Iterable[Source]): The texts.
        RETURNS (dict[str, Any]): A vocabulary of these symbols alone, with the same ids, as
            `to_dict` has it.
        """
        needed = self._with_parts({symbol for text in texts for symbol in self.split(text)[0]})
        ordinary = self.symbols[len(SPECIALS) :]
        first = [*SPECIALS, *(symbol for symbol in ordinary if symbol in needed)]
        rest = [symbol for symbol in ordinary if symbol not in needed]
        data = self.to_dict()
        self.from_dict({**data, "symbols": first + rest})
        return {**data, "symbols": first}

    def _with_parts(self, symbols: set[str]) -> set[str]:
        """These, and those without which they can't be found in a text."""
        return symbols

    def _set_symbols(self, symbols: list[str]) -> None:
        self.symbols = symbols
        first = len(SPECIALS)
        self._shown = ["" if i != UNK else REPLACEMENT for i in range(first)] + symbols[first:]
        self._ids = {symbol: i + first for i, symbol in enumerate(symbols[first:])}

    # To and from bytes and disk

    def to_dict(self) -> dict[str, Any]:
        """Everything that is needed to make this vocabulary again, as plain JSON."""
        return {
            "kind": self.kind,
            "version": self.version,
            "settings": self.settings,
            "symbols": self.symbols,
        }

    def from_dict(self, data: dict[str, Any]) -> "Vocabulary":
        """Take over what `to_dict` wrote. The settings come from there too, because
        ids mean nothing without the way in which the text was split.

        RAISES (ValueError): If the data is not a vocabulary of this kind.
        """
        check_vocabulary_data(data, self.kind, self.version)
        check_vocabulary_settings(data["settings"], self.settings)
        self.__init__(**data["settings"])  # type: ignore[misc]
        self._set_symbols(list(data["symbols"]))
        return self

    def to_bytes(self) -> bytes:
        return json.dumps(self.to_dict()).encode("ascii")  # any code point, escaped

    def from_bytes(self, data: bytes) -> "Vocabulary":
        try:
            return self.from_dict(json.loads(data))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"this is not a vocabulary: {error}") from error

    def to_disk(self, path: str | Path) -> None:
        Path(path).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path) -> "Vocabulary":
        try:
            return self.from_bytes(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"Can't read the vocabulary {path}: {error}") from error


def check_vocabulary_data(data: Any, kind: str, version: int) -> None:
    """RAISES (ValueError): If the data can't be a vocabulary of that kind."""
    if not isinstance(data, dict) or "symbols" not in data:
        raise ValueError("this is not a vocabulary: 'symbols' is missing")
    if data.get("kind") != kind:
        raise ValueError(f"expected a {kind} vocabulary, found {data.get('kind')!r}")
    if not isinstance(data.get("version"), int) or data["version"] > version:
        raise ValueError(
            f"format version {data.get('version')!r} is newer than {version}, the newest this "
            "release of spacy-seqgen reads: please upgrade it"
        )
    symbols = data["symbols"]
    if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
        raise ValueError("'symbols' must be a list of strings")
    if tuple(symbols[: len(SPECIALS)]) != SPECIALS or len(set(symbols)) != len(symbols):
        raise ValueError(f"'symbols' must begin with {' '.join(SPECIALS)} and name no symbol twice")
    if not isinstance(data.get("settings"), dict):
        raise ValueError("'settings' is missing")


def check_vocabulary_settings(settings: dict[str, Any], known: dict[str, Any]) -> None:
    """Settings that an older release did not know of yet may be missing: those have their
    defaults.

    RAISES (ValueError): If there are others than those known, or of other types.
    """
    for name in sorted(settings):
        if name not in known:
            raise ValueError(f"'settings' may name {sorted(known)}, found {name!r}")
        if type(settings[name]) is not type(known[name]):
            kind = type(known[name]).__name__
            raise ValueError(f"the setting {name!r} must be {kind}, found {settings[name]!r}")
