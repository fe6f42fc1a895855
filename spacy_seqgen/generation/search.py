"""From prompts to sequences: the one entrance to sampling and beam search."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .beam import Beam, CoverageFunction
from .logits import NEVER, Behind, LogitsTransform, Suppress, make_transforms
from .noise import Noise, row_key
from .options import GenerationOptions
from .results import Hypothesis
from .sampling import Sampler, SelectFunction, StepFunction, select_rows
from .stopping import EndOfText, StopCondition, StopStrings

# Brings the model to where the given prompts end: returns its state after all but the
# last symbol of each, and the last symbols.
StartFunction = Callable[[Sequence[int]], tuple[Any, np.ndarray]]


@dataclass
class Symbols:
    """What a search must know of a vocabulary.

    texts (Sequence[str]): What each symbol looks like.
    end (int): The symbol that ends a text.
    suppress (Sequence[int]): Symbols never generated.
    decode (Callable): Turns ids into text.
    """

    texts: Sequence[str]
    end: int
    suppress: Sequence[int]
    decode: Callable[[Iterable[int]], str]


# Makes, for a vocabulary, a transform of your own, which comes before those of the options.
TransformMaker = Callable[[Symbols], LogitsTransform]


class Search:
    """A search with fixed options.

    options (GenerationOptions): The options.
    step (StepFunction): The model.
    symbols (Symbols): The vocabulary.
    select (SelectFunction): Keeps or repeats some rows of a state of the model.
    coverage (CoverageFunction | None): See `Beam`; used if the options ask for it.
    transform (TransformMaker | None): Makes a transform to begin the chain with.
    begin (Sequence[int]): How every text begins, for transforms that mind repetitions.
    """

    def __init__(
        self,
        options: GenerationOptions,
        step: StepFunction,
        symbols: Symbols,
        select: SelectFunction = select_rows,
        coverage: CoverageFunction | None = None,
        transform: TransformMaker | None = None,
        begin: Sequence[int] = (),
    ):
        self.options = options
        self.step = step
        self.symbols = symbols
        self.select = select
        self.coverage = coverage
        own = [transform(symbols)] if transform else []
        self.transforms = make_transforms(options, symbols.suppress, symbols.end, own)
        if len(begin):  # but those that count steps
            self.transforms = [
                item if isinstance(item, Suppress) else Behind(begin, item)
                for item in self.transforms
            ]
        self.stop: StopStrings | None = None
        if options.stop:
            self.stop = StopStrings(options.stop, symbols.texts, symbols.decode, options.min_length)

    @property
    def conditions(self) -> list[StopCondition]:
        conditions: list[StopCondition] = [EndOfText(self.symbols.end)]
        return [*conditions, self.stop] if self.stop else conditions

    def run(
        self, start: StartFunction, keys: Sequence[str], limits: Sequence[int] | None = None
    ) -> list[list[Hypothesis]]:
        """Generate for a batch of prompts.

        The result for a prompt does not depend on the others. Rounding does, because
        matrix products of different sizes add up in different orders; so where a
        decision that matters was closer than rounding errors can be (of samples in about one
        text in a hundred), that prompt is run again by itself, and this is the result.

        start (StartFunction): Brings the model to the end of some of the prompts.
        keys (Sequence[str]): The text of each prompt, which keys its randomness.
        limits (Sequence[int] | None): For each prompt the most symbols, if that is less
            than `max_length`.
        RETURNS (list[list[Hypothesis]]): `num_samples` for each prompt, best first for
            a beam.
        """
        most = None if limits is None else np.minimum(limits, self.options.max_length)
        results = self._run(start, keys, range(len(keys)), most)
        for row, found in enumerate(results):
            if len(keys) * self.options.num_samples == 1:
                break
            if not all(hypothesis.certain for hypothesis in found):
                results[row] = self._alone(start, keys, row, most)
        return results

    def stream(self, start: StartFunction, key: str) -> Iterator[str]:
        """Generate one text for one prompt (number 0 of the batch), and yield it as it
        is made. What might turn out to be a stop string is held back.

        RAISES (ValueError): If the options ask for a beam or for several samples.
        """
        if self.options.beam_size > 1 or self.options.num_samples > 1:
            raise ValueError(
                "only one sample can be streamed: beam_size and num_samples must be 1, got "
                f"{self.options.beam_size} and {self.options.num_samples}"
            )
        sampler = self._sampler([row_key(self.options.seed, key, 0)])
        pieces = _Pieces(self.symbols.decode)
        unseen = ""
        for step in sampler.steps(*start([0])):
            ended = step.ended.get(0)
            unseen += pieces.new(step.trace.ids[0, : step.trace.steps - (ended == "end")])
            if self.stop and ended == "stop":
                unseen = self.stop.trim(unseen)
            held = self.stop.pending(unseen) if self.stop and not ended else 0
            if len(unseen) > held:
                yield unseen[: len(unseen) - held]
                unseen = unseen[len(unseen) - held :]

    def text(self, hypothesis: Hypothesis) -> str:
        """The text of a hypothesis, without the stop string."""
        text = self.symbols.decode(hypothesis.ids.tolist())
        return self.stop.trim(text) if self.stop and hypothesis.finish_reason == "stop" else text

    def _run(
        self,
        start: StartFunction,
        keys: Sequence[str],
        rows: Sequence[int],
        limits: np.ndarray | None,
    ) -> list[list[Hypothesis]]:
        state, last_ids = start(rows)
        limits = None if limits is None else limits[list(rows)]
        if self.options.beam_size > 1:
            return self._beam().run(state, last_ids, limits)
        n = self.options.num_samples
        spread = np.repeat(np.arange(len(rows)), n)
        if n > 1:
            state, last_ids = self.select(state, spread), last_ids[spread]
        seeds = [row_key(self.options.seed, keys[row], k) for row in rows for k in range(n)]
        limits = None if limits is None else limits[spread]
        found = self._sampler(seeds).run(state, last_ids, limits)
        return [found[i : i + n] for i in range(0, len(found), n)]

    def _alone(
        self, start: StartFunction, keys: Sequence[str], row: int, limits: np.ndarray | None
    ) -> list[Hypothesis]:
        if self.options.beam_size > 1:
            return self._run(start, keys, [row], limits)[0]
        found = []
        for k in range(self.options.num_samples):
            sampler = self._sampler([row_key(self.options.seed, keys[row], k)])
            found += sampler.run(*start([row]), None if limits is None else limits[[row]])
        return found

    def _sampler(self, keys: Sequence[int]) -> Sampler:
        options, symbols = self.options, self.symbols
        noise = Noise(
            keys,
            len(symbols.texts),
            # Where a filter has seen the logits divided by the temperature, they are;
            # otherwise to multiply the noise comes to the same and costs nothing.
            scale=1.0 if options.is_filtered and options.temperature else options.temperature,
            suppress=symbols.suppress,
            end=symbols.end,
            min_length=options.min_length,
            max_length=options.max_length,
        )
        return Sampler(
            self.step,
            noise,
            transforms=self.transforms,
            conditions=self.conditions,
            max_length=options.max_length,
            select=self.select,
        )

    def _beam(self) -> Beam:
        options, symbols = self.options, self.symbols
        return Beam(
            self.step,
            size=options.beam_size,
            best=options.num_samples,
            alpha=options.length_alpha,
            end=symbols.end,
            max_length=options.max_length,
            suppress=symbols.suppress,
            min_length=options.min_length,
            transforms=self.transforms,
            conditions=self.conditions,
            select=self.select,
            coverage=self.coverage if options.coverage_beta else None,
            beta=options.coverage_beta,
            threshold=options.beam_threshold,
        )


class _Pieces:
    """Decodes a growing sequence without decoding all of it again each time."""

    def __init__(self, decode: Callable[[Iterable[int]], str]):
        self.decode = decode
        self.first = 0  # symbols before this one are settled
        self.known = ""  # the text of those from there on

    def new(self, ids: np.ndarray) -> str:
        text = self.decode(ids[self.first :].tolist())
        piece = text[len(self.known) :]
        self.known = text
        if len(ids) - self.first > 64:
            self.first = len(ids) - 16  # symbols may look different at the beginning of a text
            self.known = self.decode(ids[self.first :].tolist())
        return piece


def reweight_distribution(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What a temperature makes of a distribution: figure 8.2 of Chollet (2018), "Deep
    Learning with Python". Plot it to see what temperatures do.

    probabilities (np.ndarray): Shape (..., symbols), each row adding up to 1.
    temperature (float): 0 puts everything on the most probable symbol.
    RETURNS (np.ndarray): The new distribution, of the same shape.
    RAISES (ValueError): If the temperature is negative or not a number.
    """
    options = GenerationOptions(temperature=temperature)
    logits = torch.from_numpy(np.asarray(probabilities, dtype=np.float64)).log()
    if options.temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        logits = torch.full_like(logits, NEVER).scatter(-1, best, 0.0)
    else:
        logits = (logits - logits.amax(-1, keepdim=True)) / options.temperature
    return logits.softmax(-1).numpy()
