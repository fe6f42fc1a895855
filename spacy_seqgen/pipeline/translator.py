"""The component `translator`: from the text of a Doc to a text in another language."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model

from ..generation import GenerationOptions, TransformMaker
from ..generation.options import OptionError
from ..lengths import by_padded_size
from ..models.translation import pad_pairs
from ..translations import Translation, get_prefix, get_translation, set_translations
from ..vocabularies import PAD, Source, Vocabulary
from .base import GeneratingPipe
from .embeddings import freeze_embeddings, load_embeddings
from .encoding import KeptPairs, encode_pair
from .segments import Segment, find_segments
from .translating import Sentence, SentenceTranslator, check_attention, join_translations


class Translator(GeneratingPipe):
    """Translates each Doc.

    Writes `doc._.translation` and `doc._.translations`. A Doc whose sentences are known
    is translated sentence by sentence, any other line by line; what is too long, in pieces.

    DOCS: docs/translator.md
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "translator",
        *,
        source_vocabulary: Vocabulary,
        target_vocabulary: Vocabulary,
        options: GenerationOptions | None = None,
        attention: bool = False,
        replace_unknown: bool = False,
        lexicon: Mapping[str, str] | None = None,
        max_characters: int = 500,
        batch_symbols: int = 16384,
        greedy_evaluation: bool = True,
        scorer: Callable | None = None,
        transform: TransformMaker | None = None,
    ):
        if max_characters < 0:
            raise ValueError(f"max_characters must be 0 or more, got {max_characters}")
        options = options or GenerationOptions(beam_size=5)
        super().__init__(vocab, model, name, options, batch_symbols, scorer, transform)
        self.source_vocabulary = source_vocabulary
        self.target_vocabulary = target_vocabulary
        self._kept = KeptPairs()
        self.attention = attention
        self.replace_unknown = replace_unknown
        self.lexicon = dict(lexicon or {})
        self.max_characters = max_characters
        self.greedy_evaluation = greedy_evaluation
        self._is_training = False

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {
            "source_vocabulary": self.source_vocabulary,
            "target_vocabulary": self.target_vocabulary,
        }

    @property
    def label_data(self) -> dict[str, Any] | None:
        """The vocabularies, for `spacy init labels` and `[initialize]`."""
        if not self.can_count_symbols:
            return None
        return {name: vocabulary.to_dict() for name, vocabulary in self.vocabularies.items()}

    def make_model(self) -> None:
        self._check_shared()
        self.model.set_dim("nI", len(self.source_vocabulary), force=True)
        self.model.set_dim("nO", len(self.target_vocabulary), force=True)
        self.model.initialize()
        check_attention(self.model, self.replace_unknown, self.options)

    def _load_model(self, data: bytes, source: str) -> None:
        super()._load_model(data, source)
        freeze_embeddings(self.model, self.cfg.get("vectors", ()))
        self._is_training = False

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        source_vocabulary: dict[str, Any] | None = None,
        target_vocabulary: dict[str, Any] | None = None,
        shared_vocabulary: bool = False,
        source_vectors: str | Path | None = None,
        target_vectors: str | Path | None = None,
    ) -> None:
        """Build the vocabularies and the model.

        get_examples (Callable): Returns the training data, or a sample of it.
        nlp (Language | None): The pipeline.
        source_vocabulary, target_vocabulary (dict | None): Saved vocabularies instead of
            new ones, or what `label_data` has of both. Necessary for a corpus that is
            streamed, of which spaCy only shows the first 100 examples.
        shared_vocabulary (bool): Make one of both languages, with the settings of the
            source's, for languages that have many words in common. The target's holds those
            of its symbols that translations are made of, with the same ids.
        source_vectors, target_vectors (str | Path | None): Word vectors for the
            embeddings: a file (see `spacy_seqgen.vectors`), or "vocab" for `nlp.vocab`'s.
        RAISES (ValueError): If the training data has no translations, vectors do not fit, a
            target vocabulary is given though it shall be the source's, or the model has one
            embedding for two vocabularies (`tied_source`).
        """
        validate_get_examples(get_examples, "Translator.initialize")
        docs = [eg.reference for eg in get_examples()]
        targets: Sequence[Source] = [get_translation(doc) or "" for doc in docs]
        if not any(targets):
            raise ValueError(
                f"'{self.name}' can't be trained: no Doc of the training data has a translation "
                "(reference._.translation). Is the reader spacy-seqgen.parallel.v1?"
            )
        given = source_vocabulary and (target_vocabulary or shared_vocabulary)
        if not given and nlp is not None and nlp.config["training"].get("max_epochs") == -1:
            warnings.warn(
                f"The vocabularies of '{self.name}' come from the first 100 pairs, because the "
                "corpus is streamed (max_epochs = -1). Give it some in [initialize.components], "
                "made by: spacy init labels CONFIG FOLDER --training.max_epochs 0",
                stacklevel=2,
            )
        sources: Sequence[Source] = docs  # which bring their own tokens, where those count
        if shared_vocabulary:
            self._check_shareable(target_vocabulary)
            sources = [*sources, *targets]
        self._fill("source_vocabulary", sources, source_vocabulary)
        if shared_vocabulary:
            target_vocabulary = source_vocabulary or self.source_vocabulary.put_first(targets)
        self._fill("target_vocabulary", targets, target_vocabulary)
        if shared_vocabulary and not self._has_same_ids:
            raise OptionError(
                f"'{self.name}' has shared_vocabulary = true, but the vocabularies it was given "
                "were made without it: make them again (spacy init labels)"
            )
        if source_vectors and target_vectors and self.model.attrs.get("tied_source"):
            raise OptionError(
                f"'{self.name}' has one table of embeddings (tied_source = true): give only "
                "source_vectors or only target_vectors"
            )
        self.make_model()
        vectors = {"source": source_vectors, "target": target_vectors}
        self.cfg["vectors"] = load_embeddings(self, vectors, {"source": sources, "target": targets})
        self._is_training = True

    @property
    def can_count_symbols(self) -> bool:
        """Whether there are vocabularies."""
        return all(vocabulary.is_built for vocabulary in self.vocabularies.values())

    def count_symbols(self, source: Source, target: str) -> tuple[int, int]:
        """How many symbols two texts have."""
        return (
            len(self.source_vocabulary.encode(source).ids),
            len(self.target_vocabulary.encode(target).ids),
        )

    def _fill(self, name: str, texts: Sequence[Source], saved: dict[str, Any] | None) -> None:
        vocabulary = self.vocabularies[name]
        if saved:
            vocabulary.from_dict(saved.get(name, saved))
        else:
            vocabulary.build(vocabulary.count(texts))

    def _check_shareable(self, given: dict[str, Any] | None) -> None:
        if given:
            raise ValueError(
                f"'{self.name}' has shared_vocabulary = true, so that its target_vocabulary is a "
                "part of the source's: give only source_vocabulary"
            )
        kinds = [type(vocabulary).__name__ for vocabulary in self.vocabularies.values()]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"A vocabulary of {kinds[0]} and one of {kinds[1]} can't be shared: set "
                f"shared_vocabulary to false, or both vocabularies of '{self.name}' to one kind"
            )

    @property
    def _has_same_ids(self) -> bool:
        """Whether the target's vocabulary is a part of the source's."""
        source, target = self.source_vocabulary, self.target_vocabulary
        begins = source.symbols[: len(target)] == target.symbols
        return begins and source.settings == target.settings

    def _check_shared(self) -> None:
        if self.model.attrs.get("tied_source") and not self._has_same_ids:
            raise OptionError(
                f"'{self.name}' has one table of embeddings (tied_source = true), but two "
                "vocabularies: set shared_vocabulary = true in "
                f"[initialize.components.{self.name}], or tied_source = false"
            )

    def can_learn(self, doc: Doc) -> bool:
        """Whether both sides hold something."""
        return bool(doc.text.strip() and (get_translation(doc) or "").strip())

    def learn(self, docs: Sequence[Doc]) -> float:
        self._is_training = True
        pairs = [self._kept.sample(doc, *self.vocabularies.values()) for doc in docs]
        batch = pad_pairs(*zip(*pairs, strict=True))
        (row_losses, _), backprop = self.model.begin_update(batch)
        total = int((batch.targets != PAD).sum())
        loss = float(row_losses.sum()) / total
        self.check_loss(loss, [doc.text for doc in docs])
        backprop(np.full(len(docs), 1 / total, dtype=np.float32))
        return loss

    # Use

    def predict(self, docs: Iterable[Doc]) -> list[list[Translation]]:
        """Translate some Docs, without changing them.

        RETURNS (list[list[Translation]]): The best translations of each Doc, the best
            first; one of a Doc that was translated in several pieces.
        RAISES (ValueError): If the component was neither initialized nor loaded.
        """
        docs = list(docs)
        self.check_initialized()
        segments = [find_segments(doc, self.max_characters) for doc in docs]
        places = [
            sentence
            for doc, found in zip(docs, segments, strict=True)
            for sentence in self._sentences(doc, found)
        ]
        translating = self._translating
        translated = iter(translating.translate(places))
        keeps = translating.keeps_attention
        return [
            join_translations(doc.text, found, [next(translated) for _ in found], keeps)
            for doc, found in zip(docs, segments, strict=True)
        ]

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[list[Translation]]) -> None:
        for doc, translations in zip(docs, scores, strict=True):
            set_translations(doc, translations)

    def _sentences(self, doc: Doc, segments: Sequence[Segment]) -> Iterator[Sentence]:
        whole, prefix = doc.text, get_prefix(doc)
        for start, end in segments:
            span = doc.char_span(start, end, alignment_mode="expand")
            assert span is not None, "a segment is never empty"
            text = whole[start:end]
            # Its own tokens, unless one of them reaches across the edge.
            source = self.source_vocabulary.encode(span if span.text == text else text)
            # A space at the end is the beginning of the next word, which is not known.
            forced = self.target_vocabulary.encode(prefix.rstrip()).ids
            yield Sentence(span, text, start, source, prefix, forced)
            prefix = ""  # only the first one has to begin like that

    @property
    def _translating(self) -> SentenceTranslator:
        return SentenceTranslator(
            self.model,
            self.target_vocabulary,
            self._options,
            self.attention,
            self.replace_unknown,
            self.lexicon,
            self.batch_symbols,
            self.transform,
        )

    @property
    def _options(self) -> GenerationOptions:
        """Evaluations between updates are greedy: they need not be better than that to
        choose the best model, and take less time."""
        if not self._is_training or not self.greedy_evaluation:
            return self.options
        return GenerationOptions(
            max_length=self.options.max_length,
            max_length_ratio=self.options.max_length_ratio,
            temperature=0.0,
        )

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Evaluate. See `spacy_seqgen.scorers`; and how well the model knows the true
        translations:

        RETURNS (dict[str, Any]): All scores, among them
            translation_perplexity: of a symbol of the target, the ones before it given.
            translation_accuracy: share of the symbols that were the most probable ones.
        """
        examples = list(examples)
        validate_examples(examples, "Translator.score")
        if not self.scorer:
            return {}
        scores = self.scorer(examples, details=not self._is_training, **kwargs)
        return {**scores, **self._read([example.reference for example in examples])}

    def _read(self, docs: Sequence[Doc]) -> dict[str, float | None]:
        nats, correct, total = 0.0, 0, 0
        pairs = [
            encode_pair(doc, *self.vocabularies.values()) for doc in docs if self.can_learn(doc)
        ]
        lengths = [len(source) + len(target) for source, target in pairs]
        for group in by_padded_size(lengths, self.batch_symbols):
            batch = pad_pairs(*zip(*(pairs[i] for i in group), strict=True))
            nll, right = self.model.predict(batch)
            real = batch.targets != PAD
            nats += float(nll.double().sum())
            correct += int((right.cpu().numpy() & real).sum())
            total += int(real.sum())
        return {
            "translation_perplexity": math.exp(min(nats / total, 700.0)) if total else None,
            "translation_accuracy": correct / total if total else None,
        }
