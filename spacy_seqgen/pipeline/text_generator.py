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
from thinc.api import Config, Model, Optimizer, set_dropout_rate

from ..generation import GenerationOptions, Search, Symbols
from ..generation.sampling import select_rows
from ..models.shim import get_shim
from ..outputs import (
    ACCURACY,
    Continuation,
    install_extensions,
    set_continuations,
    set_surprisal,
)
from ..vocabularies import BOS, EOS, PAD, UNK, Vocabulary
from ..windows import get_windows
from .base import GeneratingPipe
from .batches import CarriedState, by_padded_size, in_time_chunks, pad_texts
from .prompts import Prompts, put_rows

DEFAULT_CONFIG = """
[model]
@architectures = "spacy-seqgen.RecurrentLM.v1"
embedding_size = 20
hidden_size = 128
num_layers = 1
cell = "lstm"
dropout = null
tied = false
carry_state = true
precision = "auto"

[vocabulary]
@misc = "spacy-seqgen.Characters.v1"
nfc = false
lowercase = false
min_count = 1

[generation]
max_length = 200
min_length = 0
temperature = 1.0
top_k = 0
top_p = 1.0
min_p = 0.0
typical_p = 1.0
repetition_penalty = 1.0
no_repeat_ngram_size = 0
stop = []
num_samples = 1
beam_size = 1
length_alpha = 0.7
coverage_beta = 0.0
max_length_ratio = 0.0
min_length_ratio = 0.0
seed = 0

[scorer]
@scorers = "spacy-seqgen.language_model_scorer.v1"
"""
_DEFAULTS = Config().from_str(DEFAULT_CONFIG)

_MAX_WINDOW = 1024  # symbols through which gradients flow back


@Language.factory(
    "text_generator",
    assigns=[
        "doc._.continuation",
        "doc._.continuations",
        "doc._.perplexity",
        "doc._.bits_per_char",
        "doc._.surprisal",
        "span._.surprisal",
        "token._.surprisal",
    ],
    default_config={
        "model": _DEFAULTS["model"],
        "vocabulary": _DEFAULTS["vocabulary"],
        "generation": _DEFAULTS["generation"],
        "generate_text": True,
        "score_text": True,
        "batch_symbols": 32768,
        "scorer": _DEFAULTS["scorer"],
    },
    default_score_weights={
        "char_probability": 1.0,
        "bits_per_char": None,
        "perplexity": None,
        "char_accuracy": None,
    },
)
def make_text_generator(
    nlp: Language,
    name: str,
    model: Model,
    vocabulary: Vocabulary,
    generation: dict[str, Any],
    generate_text: bool,
    score_text: bool,
    batch_symbols: int,
    scorer: Callable | None,
) -> "TextGenerator":
    """Make a text generator.

    model (Model[LanguageBatch, Any]): The language model.
    vocabulary (Vocabulary): What its symbols are.
    generation (dict): Options, see `GenerationOptions`.
    generate_text (bool): Whether to continue each Doc.
    score_text (bool): Whether to compute the surprisal of each Doc.
    batch_symbols (int): Most symbols computed at once, padding included.
    scorer (Callable | None): How to evaluate.
    """
    return TextGenerator(
        nlp.vocab,
        model,
        name,
        vocabulary=vocabulary,
        options=GenerationOptions.from_config(generation),
        generate_text=generate_text,
        score_text=score_text,
        batch_symbols=batch_symbols,
        scorer=scorer,
    )


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
    ):
        if batch_symbols < 1:
            raise ValueError(f"batch_symbols must be 1 or more, got {batch_symbols}")
        install_extensions()
        self.vocab = vocab
        self.model = model
        self.name = name
        self.vocabulary = vocabulary
        self.options = options or GenerationOptions()
        self.options.refuse_translator_options()
        self.generate_text = generate_text
        self.score_text = score_text
        self.batch_symbols = batch_symbols
        self.scorer = scorer
        self.cfg: dict[str, Any] = {}
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

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of texts.

        examples (Iterable[Example]): The batch. The text of the references counts.
        drop (float): The dropout rate.
        sgd (Optimizer | None): The optimizer; None only accumulates gradients.
        losses (dict | None): Where to add the loss: nats for a symbol, on average.
        RETURNS (dict[str, float]): The losses.
        RAISES (ValueError): If a loss is not finite.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "TextGenerator.update")
        self.check_initialized()
        docs = [example.reference for example in examples if len(example.reference)]
        if not docs:
            return losses
        set_dropout_rate(self.model, drop)
        losses[self.name] += self._learn(docs)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def _learn(self, docs: Sequence[Doc]) -> float:
        """Add the gradients of a batch, and return its mean loss."""
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
        extra = self.options.max_length * self._rows_per_doc if self.generate_text else 0
        for group in by_padded_size([len(e.ids) for e in encoded], self.batch_symbols, extra):
            reader = Prompts(self.model, [encoded[i].ids for i in group])
            if self.score_text:
                for i, nats, correct in zip(group, reader.nats, reader.correct, strict=True):
                    starts, length = encoded[i].starts, len(texts[i])
                    bits = np.bincount(starts, nats / math.log(2), minlength=length)
                    results[i].bits = bits.astype(np.float32)
                    results[i].accuracy = float(correct.mean()) if len(correct) else None
            if self.generate_text:
                found = self._continue(reader, [texts[i] for i in group])
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
        shim = get_shim(self.model)
        pieces = self._pieces(doc, self.options.changed(options))
        while True:
            # Anew for each piece: in between, the caller may train, or change threads.
            with shim.inference():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _pieces(self, doc: Doc, options: GenerationOptions) -> Iterator[str]:
        prompts = Prompts(self.model, [self.vocabulary.encode(doc.text).ids])
        step, prepare = get_shim(self.model).net.stepper()
        search = self._search(step, options)
        yield from search.stream(lambda rows: prompts.start(prepare, rows), doc.text)

    @property
    def _rows_per_doc(self) -> int:
        return max(self.options.num_samples, self.options.beam_size)

    def _continue(self, prompts: "Prompts", texts: Sequence[str]) -> list[list[Continuation]]:
        with get_shim(self.model).inference() as net:
            step, prepare = net.stepper()
            search = self._search(step, self.options)
            found = search.run(lambda rows: prompts.start(prepare, rows), texts)
        return [
            [Continuation(search.text(item), item.log_prob, item.finish_reason) for item in items]
            for items in found
        ]

    def _search(self, step: Any, options: GenerationOptions) -> Search:
        options.refuse_translator_options()
        vocabulary = self.vocabulary
        symbols = Symbols(vocabulary.symbols, EOS, (PAD, UNK, BOS), vocabulary.decode)
        return Search(options, step, symbols)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Evaluate. See `spacy_seqgen.scorers`."""
        examples = list(examples)
        validate_examples(examples, "TextGenerator.score")
        return self.scorer(examples, **kwargs) if self.scorer else {}
