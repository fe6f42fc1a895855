"""The component `text_generator`: a language model that writes and reads."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model

from ..generation import GenerationOptions, TransformMaker
from ..generation.sampling import select_rows
from ..lengths import by_padded_size
from ..models.shim import get_shim
from ..outputs import (
    ACCURACY,
    Continuation,
    set_continuations,
    set_surprisal,
)
from ..vocabularies import BOS, Vocabulary
from ..windows import get_windows
from .base import GeneratingPipe
from .batches import CarriedState, in_time_chunks, pad_texts
from .continuing import TextContinuer
from .prompts import Prompts, put_rows

_MAX_WINDOW = 1024  # symbols through which gradients flow back


@dataclass
class Result:
    """What was found out about one Doc.

    bits (np.ndarray | None): Shape (characters,): the surprisal of each.
    accuracy (float | None): Share of symbols that were the most probable ones.
    continuations (list | None): What may follow.
    """

    bits: np.ndarray | None = None
    accuracy: float | None = None
    continuations: list[Continuation] | None = None


class TextGenerator(GeneratingPipe):
    """Continues each Doc, and says how surprising its text is.

    Writes `doc._.continuation(s)`, `doc._.surprisal`, `doc._.bits_per_char`,
    `doc._.perplexity`, `token._.surprisal` and `span._.surprisal`.

    DOCS: docs/text_generator.md
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "text_generator",
        *,
        vocabulary: Vocabulary,
        options: GenerationOptions | None = None,
        generate_text: bool = True,
        score_text: bool = True,
        batch_symbols: int = 32768,
        scorer: Callable | None = None,
        transform: TransformMaker | None = None,
    ):
        options = options or GenerationOptions()
        options.refuse_translator_options()
        super().__init__(vocab, model, name, options, batch_symbols, scorer, transform)
        self.vocabulary = vocabulary
        self.generate_text = generate_text
        self.score_text = score_text
        self._carried = CarriedState()

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"vocabulary": self.vocabulary}

    @property
    def label_data(self) -> dict[str, Any] | None:
        """The vocabulary, for `spacy init labels` and `[initialize]`."""
        return self.vocabulary.to_dict() if self.vocabulary.is_built else None

    def make_model(self) -> None:
        self.model.set_dim("nO", len(self.vocabulary), force=True)
        self.model.initialize()

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        vocabulary: dict[str, Any] | None = None,
    ) -> None:
        """Build the vocabulary and the model.

        get_examples (Callable): Returns the training data, or a sample of it.
        nlp (Language | None): The pipeline.
        vocabulary (dict | None): Instead of counting the symbols of the examples: a
            saved vocabulary (`label_data`), or counts of symbols. Necessary for a
            corpus that is streamed, of which spaCy only shows the first 100 examples.
        RAISES (ValueError): If the training data holds no text.
        """
        if isinstance(vocabulary, dict) and isinstance(vocabulary.get("symbols"), list):
            self.vocabulary.from_dict(vocabulary)
        elif vocabulary:
            self.vocabulary.build(vocabulary)
        else:
            validate_get_examples(get_examples, "TextGenerator.initialize")
            if nlp is not None and nlp.config["training"].get("max_epochs") == -1:
                warnings.warn(
                    f"The vocabulary of '{self.name}' comes from the first 100 examples, because "
                    "the corpus is streamed (max_epochs = -1): any other symbol will be unknown. "
                    "Give it one in [initialize.components], for instance with the reader "
                    "spacy-seqgen.count_characters.v1.",
                    stacklevel=2,
                )
            texts = (example.reference.text for example in get_examples())
            self.vocabulary.build(self.vocabulary.count(texts))
        self._carried.clear()
        self.make_model()

    def can_learn(self, doc: Doc) -> bool:
        return bool(len(doc))

    def learn(self, docs: Sequence[Doc]) -> float:
        rows = [row for doc in docs for row in get_windows(doc)]
        windows = [window for _, window in rows]
        texts = [text for text, _ in rows]
        ids, lengths = self.vocabulary.encode_all(texts)
        make_start = get_shim(self.model).net.start
        if self.model.attrs["carry_state"]:
            state, before = self._carried.begin(windows, make_start)
        else:
            state, before = make_start(len(rows)), [BOS] * len(rows)
        ends = [window is None or window.is_last for window in windows]
        batch = pad_texts(ids, lengths, before, ends)
        total = int(batch.lengths.sum())
        loss = 0.0
        # Long texts are learned piece by piece, so that memory stays bounded.
        for places, piece in in_time_chunks(batch, _MAX_WINDOW):
            whole = len(places) == len(rows)
            piece.state = state if whole else select_rows(state, places)
            (row_losses, new_state), backprop = self.model.begin_update(piece)
            loss += float(row_losses.sum()) / total
            self.check_loss(loss, texts)
            backprop(np.full(len(places), 1 / total, dtype=np.float32))
            state = new_state if whole else put_rows(state, places, new_state)
        if self.model.attrs["carry_state"]:
            self._carried.remember(windows, state, batch)
        return loss

    def get_training_state(self) -> dict[str, Any]:
        """For checkpoints: the hidden states carried from batch to batch."""
        return self._carried.to_tensors()

    def set_training_state(self, data: dict[str, Any]) -> None:
        self._carried.from_tensors(data, get_shim(self.model).device)

    # Use

    def predict(self, docs: Iterable[Doc]) -> list[Result]:
        """Read and continue some Docs, without changing them.

        RETURNS (list[Result]): One for each Doc.
        RAISES (ValueError): If the component was neither initialized nor loaded.
        """
        docs = list(docs)
        self.check_initialized()
        results = [Result() for _ in docs]
        if not self.generate_text and not self.score_text:
            return results
        texts = [doc.text for doc in docs]
        # The text and not the Doc: in training there are no tokens but the vocabulary's own.
        encoded = [self.vocabulary.encode(text) for text in texts]
        continuer = self._continuer(self.options) if self.generate_text else None
        extra = continuer.symbols_per_text if continuer else 0
        for group in by_padded_size([len(e.ids) for e in encoded], self.batch_symbols, extra):
            reader = Prompts(self.model, [encoded[i].ids for i in group])
            if self.score_text:
                for i, nats, correct in zip(group, reader.nats, reader.correct, strict=True):
                    starts, length = encoded[i].starts, len(texts[i])
                    bits = np.bincount(starts, nats / math.log(2), minlength=length)
                    results[i].bits = bits.astype(np.float32)
                    results[i].accuracy = float(correct.mean()) if len(correct) else None
            if continuer:
                found = continuer.run(reader, [texts[i] for i in group])
                for i, continuations in zip(group, found, strict=True):
                    results[i].continuations = continuations
        return results

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[Result]) -> None:
        for doc, result in zip(docs, scores, strict=True):
            if result.bits is not None:
                set_surprisal(doc, result.bits)
                doc.user_data[ACCURACY] = result.accuracy
            if result.continuations is not None:
                set_continuations(doc, result.continuations)

    def stream(self, doc: Doc, **options: Any) -> Iterator[str]:
        """Continue a Doc, and yield the text as it is made.

        doc (Doc): The prompt.
        options (Any): Generation options that differ from those of the component.
        YIELDS (str): Pieces of text, of one symbol or more.
        RAISES (OptionError): If an option is unknown or impossible.
        """
        self.check_initialized()
        yield from self._continuer(self.options.changed(options)).stream(doc.text)

    def next_symbols(self, doc: Doc) -> tuple[list[str], np.ndarray]:
        """What may follow a Doc.

        doc (Doc): The prompt.
        RETURNS (tuple[list[str], np.ndarray]): All symbols of the vocabulary, and the
            probability of each at temperature 1, shape (symbols,).
        RAISES (ValueError): If the component was neither initialized nor loaded.
        """
        self.check_initialized()
        ids = self.vocabulary.encode(doc.text).ids
        reader = Prompts(self.model, [ids])
        with get_shim(self.model).inference() as net:
            state, last = reader.start(lambda state: state, [0])
            logits, _ = net.step(state, last)
        return list(self.vocabulary.symbols), logits[0].softmax(-1).cpu().numpy()

    def _continuer(self, options: GenerationOptions) -> TextContinuer:
        return TextContinuer(self.model, self.vocabulary, options, self.transform)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Evaluate. See `spacy_seqgen.scorers`."""
        examples = list(examples)
        validate_examples(examples, "TextGenerator.score")
        return self.scorer(examples, **kwargs) if self.scorer else {}
