"""Continuing texts that a language model has read."""

from collections.abc import Iterator, Sequence
from typing import Any

from thinc.api import Model

from ..generation import GenerationOptions, Search, Symbols, TransformMaker
from ..models.shim import get_shim
from ..outputs import Continuation
from ..vocabularies import BOS, EOS, PAD, UNK, Vocabulary
from .prompts import Prompts


class TextContinuer:
    """
    model (Model[LanguageBatch, Any]): The language model.
    vocabulary (Vocabulary): What its symbols are.
    options (GenerationOptions): How to write.
    transform (TransformMaker | None): See `Search`.
    RAISES (OptionError): If an option is for translators.
    """

    def __init__(
        self,
        model: Model,
        vocabulary: Vocabulary,
        options: GenerationOptions,
        transform: TransformMaker | None = None,
    ):
        options.refuse_translator_options()
        self.model = model
        self.vocabulary = vocabulary
        self.options = options
        self.transform = transform

    @property
    def symbols_per_text(self) -> int:
        """The most symbols written for one text, all samples or hypotheses together."""
        return self.options.max_length * max(self.options.num_samples, self.options.beam_size)

    def run(self, prompts: Prompts, texts: Sequence[str]) -> list[list[Continuation]]:
        """
        prompts (Prompts): The texts as the model has read them.
        texts (Sequence[str]): The same as they are.
        RETURNS (list[list[Continuation]]): Those of each text, the best first.
        """
        with get_shim(self.model).inference() as net:
            step, prepare = net.stepper()
            search = self.make_search(step)
            found = search.run(lambda rows: prompts.start(prepare, rows), texts)
        return [
            [Continuation(search.text(item), item.log_prob, item.finish_reason) for item in items]
            for items in found
        ]

    def stream(self, text: str) -> Iterator[str]:
        """
        text (str): The prompt.
        YIELDS (str): Pieces of what follows, of one symbol or more.
        """
        shim = get_shim(self.model)
        pieces = self._pieces(text)
        while True:
            # Anew for each piece: in between, the caller may train, or change threads.
            with shim.inference():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _pieces(self, text: str) -> Iterator[str]:
        prompts = Prompts(self.model, [self.vocabulary.encode(text).ids])
        step, prepare = get_shim(self.model).net.stepper()
        yield from self.make_search(step).stream(lambda rows: prompts.start(prepare, rows), text)

    def make_search(self, step: Any) -> Search:
        """
        step (Any): The step function of the language model.
        """
        vocabulary = self.vocabulary
        symbols = Symbols(vocabulary.symbols, EOS, (PAD, UNK, BOS), vocabulary.decode)
        return Search(self.options, step, symbols, transform=self.transform)
