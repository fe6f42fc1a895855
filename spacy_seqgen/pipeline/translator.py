"""The component `translator`: from the text of a Doc to a text in another language."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, set_dropout_rate

from ..generation import GenerationOptions, Search, Symbols
from ..generation.results import Hypothesis
from ..models.shim import get_shim
from ..models.translation import pad_pairs, pad_sources
from ..outputs import Translation, get_translation, install_extensions, set_translations
from ..vocabularies import BOS, EOS, PAD, UNK, Vocabulary
from .alignment import find_owners, find_tokens, pool_attention
from .base import GeneratingPipe
from .batches import by_padded_size
from .embeddings import freeze_embeddings, load_embeddings
from .segments import Segment, find_segments, join_segments

DEFAULT_CONFIG = """
[model]
@architectures = "spacy-seqgen.RecurrentSeq2Seq.v1"
embedding_size = 256
hidden_size = 256
num_layers = 1
cell = "gru"
bidirectional = true
attention = "additive"
input_feeding = false
tied = true
update_vectors = true
label_smoothing = 0.1
dropout = null
precision = "auto"

[vocabulary]
@misc = "spacy-seqgen.Subwords.v1"
size = 8000
lowercase = false
min_count = 2

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
beam_size = 5
length_alpha = 0.7
seed = 0

[scorer]
@scorers = "spacy-seqgen.translation_scorer.v1"
"""
_DEFAULTS = Config().from_str(DEFAULT_CONFIG)


@Language.factory(
    "translator",
    assigns=["doc._.translation", "doc._.translations"],
    default_config={
        "model": _DEFAULTS["model"],
        "source_vocabulary": _DEFAULTS["vocabulary"],
        "target_vocabulary": _DEFAULTS["vocabulary"],
        "generation": _DEFAULTS["generation"],
        "attention": False,
        "batch_symbols": 16384,
        "scorer": _DEFAULTS["scorer"],
    },
    default_score_weights={
        "bleu": 1.0,
        "chrf": None,
        "exact_match": None,
        "bleu_signature": None,
    },
)
def make_translator(
    nlp: Language,
    name: str,
    model: Model,
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    generation: dict[str, Any],
    attention: bool,
    batch_symbols: int,
    scorer: Callable | None,
) -> "Translator":
    """Make a translator.

    model (Model[PairBatch, Any]): The encoder-decoder.
    source_vocabulary, target_vocabulary (Vocabulary): What its symbols are.
    generation (dict): Options of the search, see `GenerationOptions`.
    attention (bool): Keep where the decoder looked, for each translation.
    batch_symbols (int): Most symbols of the source computed at once, padding included
        and each counted once for every hypothesis.
    scorer (Callable | None): How to evaluate.
    """
    return Translator(
        nlp.vocab,
        model,
        name,
        source_vocabulary=source_vocabulary,
        target_vocabulary=target_vocabulary,
        options=GenerationOptions.from_config(generation),
        attention=attention,
        batch_symbols=batch_symbols,
        scorer=scorer,
    )


class Translator(GeneratingPipe):
    """Translates each Doc.

    Writes `doc._.translation` and `doc._.translations`. A Doc whose sentences are known
    is translated sentence by sentence, any other line by line.

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
        batch_symbols: int = 16384,
        scorer: Callable | None = None,
    ):
        if batch_symbols < 1:
            raise ValueError(f"batch_symbols must be 1 or more, got {batch_symbols}")
        install_extensions()
        self.vocab = vocab
        self.model = model
        self.name = name
        self.source_vocabulary = source_vocabulary
        self.target_vocabulary = target_vocabulary
        self.options = options or GenerationOptions(beam_size=5)
        self.attention = attention
        self.batch_symbols = batch_symbols
        self.scorer = scorer
        self.cfg: dict[str, Any] = {}
        self._is_training = False

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {
            "source_vocabulary": self.source_vocabulary,
            "target_vocabulary": self.target_vocabulary,
        }

    def make_model(self) -> None:
        self.model.set_dim("nI", len(self.source_vocabulary), force=True)
        self.model.set_dim("nO", len(self.target_vocabulary), force=True)
        self.model.initialize()

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
        source_vectors: str | Path | None = None,
        target_vectors: str | Path | None = None,
    ) -> None:
        """Build the vocabularies and the model.

        get_examples (Callable): Returns the training data, or a sample of it.
        nlp (Language | None): The pipeline.
        source_vocabulary, target_vocabulary (dict | None): Saved vocabularies instead of
            new ones.
        source_vectors, target_vectors (str | Path | None): Word vectors for the
            embeddings: a file (see `spacy_seqgen.vectors`), or "vocab" for `nlp.vocab`'s.
        RAISES (ValueError): If the training data has no translations, or vectors do not fit.
        """
        validate_get_examples(get_examples, "Translator.initialize")
        pairs = [(eg.reference.text, get_translation(eg.reference) or "") for eg in get_examples()]
        if not any(target for _, target in pairs):
            raise ValueError(
                f"'{self.name}' can't be trained: no Doc of the training data has a translation "
                "(reference._.translation). Is the reader spacy-seqgen.parallel.v1?"
            )
        sides = list(zip(*pairs, strict=True))
        given = (source_vocabulary, target_vocabulary)
        for vocabulary, texts, saved in zip(self.vocabularies.values(), sides, given, strict=True):
            if saved:
                vocabulary.from_dict(saved)
            else:
                vocabulary.build(vocabulary.count(texts))
        self.make_model()
        vectors = {"source": source_vectors, "target": target_vectors}
        self.cfg["vectors"] = load_embeddings(self, vectors, dict(zip(vectors, sides, strict=True)))
        self._is_training = True

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of sentence pairs, with teacher forcing.

        examples (Iterable[Example]): The batch. `reference._.translation` is the target;
            pairs with an empty side are passed over.
        drop (float): The dropout rate.
        sgd (Optimizer | None): The optimizer; None only accumulates gradients.
        losses (dict | None): Where to add the loss: nats for a symbol of the target, on
            average, label smoothing included.
        RETURNS (dict[str, float]): The losses.
        RAISES (ValueError): If a loss is not finite.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "Translator.update")
        self.check_initialized()
        self._is_training = True
        docs = [eg.reference for eg in examples]
        docs = [doc for doc in docs if doc.text.strip() and get_translation(doc)]
        if not docs:
            return losses
        set_dropout_rate(self.model, drop)
        sources = [self.source_vocabulary.encode(doc.text).ids for doc in docs]
        targets = [self.target_vocabulary.encode(get_translation(doc) or "").ids for doc in docs]
        batch = pad_pairs(sources, targets)
        (row_losses, _), backprop = self.model.begin_update(batch)
        total = int((batch.targets != PAD).sum())
        loss = float(row_losses.sum()) / total
        self.check_loss(loss, [doc.text for doc in docs])
        backprop(np.full(len(docs), 1 / total, dtype=np.float32))
        losses[self.name] += loss
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    # Use

    def predict(self, docs: Iterable[Doc]) -> list[list[Translation]]:
        """Translate some Docs, without changing them.

        RETURNS (list[list[Translation]]): The best translations of each Doc, the best
            first; one of a Doc that was translated in several pieces.
        RAISES (ValueError): If the component was neither initialized nor loaded.
        """
        docs = list(docs)
        self.check_initialized()
        segments = [find_segments(doc) for doc in docs]
        places = [(doc, seg) for doc, found in zip(docs, segments, strict=True) for seg in found]
        translated = iter(self._translate_all(places))
        return [
            self._whole(doc, found, [next(translated) for _ in found])
            for doc, found in zip(docs, segments, strict=True)
        ]

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[list[Translation]]) -> None:
        for doc, translations in zip(docs, scores, strict=True):
            set_translations(doc, translations)

    def _whole(
        self, doc: Doc, segments: list[Segment], found: list[list[Translation]]
    ) -> list[Translation]:
        """The translations of a Doc, from those of its segments."""
        if len(found) == 1:
            return [
                replace(item, text=join_segments(doc.text, segments, [item.text]))
                for item in found[0]
            ]
        best = [translations[0] for translations in found]
        text = join_segments(doc.text, segments, [item.text for item in best])
        if not found:
            return [Translation(text.strip())]
        ended = all(item.finish_reason == "end" for item in best)
        maps = [item.attention for item in best if item.attention is not None]
        return [
            Translation(
                text,
                tuple(token for item in best for token in item.tokens),
                sum(item.log_prob or 0.0 for item in best),
                "end" if ended else "length",
                np.concatenate(maps) if maps else None,
            )
        ]

    def _translate_all(self, places: Sequence[tuple[Doc, Segment]]) -> list[list[Translation]]:
        encode = self.source_vocabulary.encode
        encoded = [encode(doc.text[seg.start : seg.end]) for doc, seg in places]
        results: list[list[Translation]] = [[] for _ in places]
        options = self._options
        limit = max(1, self.batch_symbols // max(options.beam_size, options.num_samples))
        for group in by_padded_size([len(e.ids) for e in encoded], limit):
            sources = [encoded[i].ids for i in group]
            texts = [places[i][0].text[slice(*places[i][1])] for i in group]
            found = self._search(sources, texts, options)
            for i, source, hypotheses in zip(group, sources, found, strict=True):
                maps = self._look(source, hypotheses)
                doc, segment = places[i]
                results[i] = [
                    self._translation(hypothesis, weights, doc, segment, encoded[i].starts)
                    for hypothesis, weights in zip(hypotheses, maps, strict=True)
                ]
        return results

    @property
    def _options(self) -> GenerationOptions:
        """Evaluations between updates are greedy: they need not be better than that to
        choose the best model, and take a fraction of the time."""
        if not self._is_training:
            return self.options
        return GenerationOptions(max_length=self.options.max_length, temperature=0.0)

    def _search(
        self, sources: Sequence[np.ndarray], texts: Sequence[str], options: GenerationOptions
    ) -> list[list[Hypothesis]]:
        vocabulary = self.target_vocabulary
        symbols = Symbols(vocabulary.symbols, EOS, (PAD, UNK, BOS), vocabulary.decode)
        with get_shim(self.model).inference() as net:

            def start(rows: Sequence[int]) -> tuple[Any, np.ndarray]:
                ids, lengths = pad_sources([sources[row] for row in rows])
                tensor = torch.from_numpy(ids).to(get_shim(self.model).device)
                state = net.start(tensor, torch.from_numpy(lengths))
                return state, np.full(len(rows), BOS)

            return Search(options, net.step, symbols, select=net.select).run(start, texts)

    def _look(
        self, source: np.ndarray, hypotheses: Sequence[Hypothesis]
    ) -> Iterator[np.ndarray | None]:
        """Where the decoder looked while it wrote: it reads what it wrote once more."""
        with get_shim(self.model).inference() as net:
            for hypothesis in hypotheses:
                if not self.attention or not net.has_attention or not len(hypothesis.ids):
                    yield None
                    continue
                batch = pad_pairs([source], [hypothesis.ids])
                tensors = (torch.from_numpy(item) for item in (batch.sources, batch.inputs))
                ids, inputs = (item.to(get_shim(self.model).device) for item in tensors)
                weights = net.look(ids, torch.from_numpy(batch.lengths), inputs)
                # Without the end of the target and of the source.
                yield weights[0, :-1, :-1].float().cpu().numpy()

    def _translation(
        self,
        hypothesis: Hypothesis,
        weights: np.ndarray | None,
        doc: Doc,
        segment: Segment,
        starts: np.ndarray,
    ) -> Translation:
        ids = hypothesis.ids.tolist()
        text = self.target_vocabulary.decode(ids)
        tokens, attention = find_tokens(text), None
        if weights is not None:
            owners = find_owners(self.target_vocabulary, ids, text)
            attention = pool_attention(weights, owners, len(tokens), doc, segment.start + starts)
        return Translation(text, tokens, hypothesis.log_prob, hypothesis.finish_reason, attention)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Evaluate. See `spacy_seqgen.scorers`."""
        examples = list(examples)
        validate_examples(examples, "Translator.score")
        return self.scorer(examples, **kwargs) if self.scorer else {}
