"""Writing texts with an encoder-decoder, whatever it has read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from thinc.api import Model

from ..generation import GenerationOptions, Search, Symbols, TransformMaker
from ..generation.results import Hypothesis
from ..models.shim import get_shim
from ..models.translation import pad_targets
from ..modules.coverage import CoverageSteps
from ..modules.seq2seq import Source
from ..tokens import find_tokens
from ..vocabularies import BOS, EOS, PAD, UNK, Vocabulary
from .alignment import find_owners

# Some of the sources of a batch, as the encoder reads them.
ReadFunction = Callable[[Sequence[int]], Source]


@dataclass
class Text:
    """What a hypothesis says.

    text (str): The text.
    tokens (tuple[str, ...]): Its words and marks.
    log_probs (tuple[float, ...]): For each of them the natural logarithm of its probability.
    symbols, owners (np.ndarray): Symbols and their tokens, see `find_owners`.
    """

    text: str
    tokens: tuple[str, ...]
    log_probs: tuple[float, ...]
    symbols: np.ndarray
    owners: np.ndarray


class TextWriter:
    """
    model (Model): The encoder-decoder.
    vocabulary (Vocabulary): What it writes.
    unknown (bool): Let it write `<unk>`.
    transform (TransformMaker | None): See `Search`.
    precision (str): What sources are read in: "fp32", "bf16", or "auto".
    """

    def __init__(
        self,
        model: Model,
        vocabulary: Vocabulary,
        unknown: bool = False,
        transform: TransformMaker | None = None,
        precision: str = "fp32",
    ):
        self.precision = precision
        self.shim = get_shim(model)
        self.vocabulary = vocabulary
        self.transform = transform
        self.suppress = (PAD, BOS) if unknown else (PAD, UNK, BOS)
        self._trim: Callable[[str], str] = str

    def search(
        self,
        read: ReadFunction,
        keys: Sequence[str],
        options: GenerationOptions,
        limits: Sequence[int] | None = None,
        forced: np.ndarray | Sequence[int] = (),
    ) -> list[list[Hypothesis]]:
        """Find what to write.

        read (ReadFunction): The sources.
        keys (Sequence[str]): For each a text that stands for it, which keys its randomness.
        options (GenerationOptions): How to search.
        limits (Sequence[int] | None): For each the most symbols.
        forced (np.ndarray): Shape (symbols,): how all of them have to begin.
        RETURNS (list[list[Hypothesis]]): Those of each source, the best first.
        """
        texts = self.vocabulary
        symbols = Symbols(texts.symbols, EOS, self.suppress, texts.decode)
        with self.shim.inference() as net:
            coverage = CoverageSteps(net) if options.coverage_beta else None
            steps, prepare = net.stepper()

            def start(rows: Sequence[int]) -> tuple[Any, np.ndarray]:
                source = read(rows)
                state = self._start(net, source)
                last = BOS
                weights = None
                if len(forced):
                    begin = torch.tensor([[BOS, *forced[:-1]]] * len(rows), device=source[0].device)
                    written = net.write(state, begin, wants_weights=coverage is not None)
                    state, weights, last = written.state, written.weights, int(forced[-1])
                if coverage:
                    state = coverage.start(state, source[0], weights)
                else:
                    state = prepare(state)
                return state, np.full(len(rows), last)

            search = Search(
                options,
                (coverage or steps).step,
                symbols,
                select=(coverage or steps).select,
                coverage=coverage.penalty if coverage else None,
                transform=self.transform,
                begin=[int(symbol) for symbol in forced],
            )
            self._trim = search.stop.trim if search.stop else str
            found = search.run(start, keys, limits)
            if len(forced):
                return self._with_forced(net, read(range(len(keys))), np.asarray(forced), found)
            return found

    def _start(self, net: Any, source: Source) -> Any:
        """Read, and go on in fp32."""
        with self.shim.computing_in(self.precision):
            state = net.start(*source)
        return state if self.precision == "fp32" else _to_float(state)

    def _with_forced(
        self, net: Any, source: Source, forced: np.ndarray, found: list[list[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        """Put what was given before what was found."""
        arrays = pad_targets([forced] * len(found))
        inputs, targets = (torch.from_numpy(item).to(self.shim.device) for item in arrays)
        nll, _ = net.read(source, inputs, targets)
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

    def look(self, source: Source, hypotheses: Sequence[Hypothesis]) -> list[np.ndarray | None]:
        """Where the decoder looked while it wrote: it reads what it wrote once more.

        source (Source): A single one.
        hypotheses (Sequence[Hypothesis]): What was written about it.
        RETURNS (list[np.ndarray | None]): Of each, shape (symbols, source time), float32;
            None if it is empty, or the model can't tell.
        """
        found: list[np.ndarray | None] = []
        with self.shim.inference() as net:
            state = self._start(net, source)
            for hypothesis in hypotheses:
                if not net.has_attention or not len(hypothesis.ids):
                    found.append(None)
                    continue
                inputs, _ = pad_targets([hypothesis.ids])
                weights = net.look(state, torch.from_numpy(inputs).to(self.shim.device))
                found.append(weights[0, :-1].float().cpu().numpy())  # without `</s>`
        return found

    def spell(
        self,
        hypothesis: Hypothesis,
        unknown: Sequence[str] = (),
        prefix: str = "",
        forced: int = 0,
    ) -> Text:
        """The text of a hypothesis, and what is known of its tokens.

        unknown (Sequence[str]): What to write for each `<unk>`.
        prefix (str), forced (int): The beginning that was given, and its symbols.
        """
        ids = hypothesis.ids.tolist()
        pieces = [self.vocabulary.decode(ids[: n + 1], unknown) for n in range(len(ids))]
        if forced:
            pieces = _begun_with(prefix, pieces, forced)
        text = pieces[-1] if pieces else ""
        if hypothesis.finish_reason == "stop":
            text = self._trim(text)
        tokens = find_tokens(text)
        symbols, owners = find_owners(pieces, text)
        log_probs, of_symbols = [0.0] * len(tokens), hypothesis.log_probs.tolist()
        # A symbol that reaches across several tokens counts for the first of them.
        firsts = dict(zip(symbols[::-1].tolist(), owners[::-1].tolist(), strict=True))
        for symbol, owner in firsts.items():
            log_probs[owner] += of_symbols[symbol]
        return Text(text, tokens, tuple(log_probs), symbols, owners)


def _to_float(state: Any) -> Any:
    """A state of tensors in tuples, those in bfloat16 as float32."""
    if isinstance(state, tuple):
        made = map(_to_float, state)
        return type(state)(*made) if hasattr(state, "_fields") else tuple(made)
    if isinstance(state, torch.Tensor) and state.dtype == torch.bfloat16:
        return state.float()
    return state


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
