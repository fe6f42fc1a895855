"""What all generating components have in common."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from spacy import util
from spacy.errors import Errors
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from ..generation import GenerationOptions, TransformMaker
from ..models.shim import get_shim
from ..outputs import install_extensions
from ..windows import get_windows
from .saving import VocabularyPipe


class GeneratingPipe(VocabularyPipe):
    """A component that learns from batches of Docs and generates text.

    vocab (Vocab): spaCy's.
    model (Model): What learns.
    name (str): Of the component in the pipeline.
    options (GenerationOptions): How to generate.
    batch_symbols (int): Most symbols computed at once, padding included.
    scorer (Callable | None): How to evaluate.
    transform (TransformMaker | None): Makes a transform of the logits, of the user's own.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str,
        options: GenerationOptions,
        batch_symbols: int,
        scorer: Callable | None,
        transform: TransformMaker | None = None,
    ):
        if batch_symbols < 1:
            raise ValueError(f"batch_symbols must be 1 or more, got {batch_symbols}")
        install_extensions()
        self.vocab = vocab
        self.model = model
        self.name = name
        self.options = options
        self.batch_symbols = batch_symbols
        self.scorer = scorer
        self.transform = transform
        self.cfg: dict[str, Any] = {}
        # For loggers, which spaCy tells nothing between evaluations.
        self.learned_characters = 0
        self.recent_loss: float | None = None

    @property
    def is_initialized(self) -> bool:
        return bool(self.model.shims)

    def check_initialized(self) -> None:
        """RAISES (ValueError): If the component was neither initialized nor loaded."""
        if not self.is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))

    def check_loss(self, loss: float, texts: Sequence[str]) -> None:
        """RAISES (ValueError): If a loss is not finite; names the texts of the batch."""
        if math.isfinite(loss):
            return
        get_shim(self.model).native.drop_gradients()  # of earlier parts of the batch
        shown = ", ".join(repr(text[:60]) for text in texts[:3])
        shown += ", ..." if len(texts) > 3 else ""
        raise ValueError(
            f"The loss of '{self.name}' is not finite, so training stops before it spoils the "
            f"weights. The batch: {shown}. Lower learn_rate, or set grad_clip in "
            "[training.optimizer]."
        )

    def can_learn(self, doc: Doc) -> bool:
        """Whether there is something to learn from a Doc."""
        raise NotImplementedError

    def learn(self, docs: Sequence[Doc]) -> float:
        """Add the gradients of a batch.

        RETURNS (float): The loss, in nats for a symbol, on average.
        RAISES (ValueError): If it is not finite.
        """
        raise NotImplementedError

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of examples.

        examples (Iterable[Example]): The batch. Only the references count, and of those
            only the ones that hold something.
        drop (float): The dropout rate.
        sgd (Optimizer | None): The optimizer; None only accumulates gradients.
        losses (dict | None): Where to add the loss: nats for a symbol, on average, label
            smoothing included.
        RETURNS (dict[str, float]): The losses.
        RAISES (ValueError): If a loss is not finite.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        self.check_initialized()
        docs = [eg.reference for eg in examples if self.can_learn(eg.reference)]
        if docs:
            set_dropout_rate(self.model, drop)
            self.recent_loss = self.learn(docs)
            losses[self.name] += self.recent_loss
            self.learned_characters += sum(self.count_characters(doc) for doc in docs)
            if sgd not in (None, False):
                self.finish_update(sgd)
        return losses

    def count_characters(self, doc: Doc) -> int:
        """How many an update learns from, for the speed that loggers show."""
        return sum(len(text) for text, _ in get_windows(doc))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Process a stream of Docs in batches, in order. If a batch fails, its Docs are
        processed one by one, so that only those at fault go to the error handler.

        stream (Iterable[Doc]): The Docs.
        batch_size (int): Number of Docs to collect. What is computed at once is bounded
            by padded size, not by this.
        YIELDS (Doc): The Docs.
        """
        handle_error = self.get_error_handler()
        for docs in util.minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception as error:
                if len(docs) == 1:
                    handle_error(self.name, self, docs, error)
                else:
                    yield from self._pipe_singly(docs, handle_error)
            else:
                yield from docs

    def _pipe_singly(self, docs: list[Doc], handle_error: Callable) -> Iterator[Doc]:
        for doc in docs:
            try:
                self.set_annotations([doc], self.predict([doc]))
            except Exception as error:
                handle_error(self.name, self, [doc], error)
            else:
                yield doc
