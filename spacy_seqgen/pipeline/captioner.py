"""The component `image_captioner`: from the picture that a Doc stands for to a text."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy import util
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import logger
from spacy.vocab import Vocab
from thinc.api import Model

from ..captions import Caption, get_image, get_true_captions, set_captions, set_seen
from ..generation import GenerationOptions, TransformMaker
from ..models.captioning import CaptionBatch
from ..models.shim import get_shim
from ..models.translation import pad_targets
from ..pictures import PictureError, PictureSettings
from ..pictures.loading import read_ahead
from ..vocabularies import PAD, Vocabulary
from .captioning import PictureCaptioner, encode_pictures
from .guiding import make_guide
from .pictures import PicturePipe


class ImageCaptioner(PicturePipe):
    """Captions the picture of each Doc: the one that its text names, or `doc._.image`.

    Writes `doc._.caption` and `doc._.captions`.

    DOCS: docs/captioner.md
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "image_captioner",
        *,
        vocabulary: Vocabulary,
        pictures: PictureSettings | None = None,
        options: GenerationOptions | None = None,
        image_dir: str = "",
        attention: bool = False,
        batch_pictures: int = 64,
        captions_per_picture: int = 1,
        feature_cache: int = 256,
        greedy_evaluation: bool = True,
        scorer: Callable | None = None,
        transform: TransformMaker | None = None,
    ):
        if batch_pictures < 1:
            raise ValueError(f"batch_pictures must be 1 or more, got {batch_pictures}")
        if captions_per_picture < 1:
            raise ValueError(f"captions_per_picture must be 1 or more, got {captions_per_picture}")
        options = options or GenerationOptions(beam_size=3, max_length=50)
        options.refuse_translator_options()
        super().__init__(
            vocab, model, name, options, batch_pictures, scorer, transform,
            pictures=pictures or PictureSettings(), image_dir=image_dir,
            feature_cache=feature_cache,
        )  # fmt: skip
        self.vocabulary = vocabulary
        self.attention = attention
        self.batch_pictures = batch_pictures
        self.captions_per_picture = captions_per_picture
        self.greedy_evaluation = greedy_evaluation
        self.leaves_out = False
        self._is_training = False

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {"vocabulary": self.vocabulary}

    @property
    def label_data(self) -> dict[str, Any] | None:
        """The vocabulary, for `spacy init labels` and `[initialize]`."""
        return self.vocabulary.to_dict() if self.vocabulary.is_built else None

    def make_model(self) -> None:
        self.model.set_dim("nO", len(self.vocabulary), force=True)
        self.model.attrs["description"] = self.cfg.get("encoder") or {}
        self.model.initialize()

    def _load_model(self, data: bytes, source: str) -> None:
        super()._load_model(data, source)
        self._forget_pictures()
        self._is_training = False

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
        vocabulary (dict | None): A saved vocabulary instead of a new one: what `label_data`
            has. Necessary for a corpus that is streamed, of which spaCy only shows the
            first 100 examples.
        RAISES (ValueError): If the training data has no captions, or no pictures.
        """
        validate_get_examples(get_examples, "ImageCaptioner.initialize")
        docs = [eg.reference for eg in get_examples() if get_true_captions(eg.reference)]
        if not docs:
            raise ValueError(
                f"'{self.name}' can't be trained: no Doc of the training data has a caption "
                "(reference._.caption). Is the reader spacy-seqgen.image_captions.v1?"
            )
        self._check_pictures(docs)
        if vocabulary:
            self.vocabulary.from_dict(vocabulary)
        else:
            texts = [text for doc in docs for text in get_true_captions(doc)]
            self.vocabulary.build(self.vocabulary.count(texts))
        load = self.model.attrs["encoder"].load
        self.cfg["encoder"], weights = load(self.pictures.size) if load else ({}, {})
        self.make_model()
        self._forget_pictures()
        if get_shim(self.model).net.guided_attention:
            self._check_regions(docs)
        if weights:
            get_shim(self.model).net.encoder.load_state_dict(weights)
        self._is_training = True

    def can_learn(self, doc: Doc) -> bool:
        """Whether there is a caption."""
        return bool(get_true_captions(doc))

    def count_characters(self, doc: Doc) -> int:
        """Of captions: the text is but the name of the picture."""
        texts = get_true_captions(doc)
        return self.captions_per_picture * sum(map(len, texts)) // len(texts)

    def learn(self, docs: Sequence[Doc]) -> float:
        """Some captions of each picture, any of them. Pictures that can't be read are left
        out, with a warning that names them."""
        self._is_training = True
        found = self._read_for_training(docs)
        if not found:
            return 0.0
        captions = [
            (doc, text, self.vocabulary.sample(text))
            for doc, _ in found
            for text in self._choose(get_true_captions(doc))
        ]
        pictures = np.stack([picture for _, picture in found])
        batch = CaptionBatch(pictures, *pad_targets([item.ids for _, _, item in captions]))
        if get_shim(self.model).net.guided_attention:
            self._check_regions([doc for doc, _ in found])
            batch.guide = make_guide(captions, self.pictures, *self._find_grid(pictures))
        (row_losses, _), backprop = self.model.begin_update(batch)
        total = int((batch.targets != PAD).sum())
        loss = float(row_losses.sum()) / total
        self.check_loss(loss, [doc.text for doc, _ in found])
        backprop(np.full(len(captions), 1 / total, dtype=np.float32))
        return loss

    def _choose(self, captions: Sequence[str]) -> list[str]:
        """Some captions of a picture: each at most once more often than any other. Drawn with
        NumPy: Python's `random` makes the batches, and a training that is resumed makes those
        that are done again without learning."""
        mixed = [captions[number] for number in np.random.permutation(len(captions))]
        return [mixed[n % len(mixed)] for n in range(self.captions_per_picture)]

    # Use

    def predict(self, docs: Iterable[Doc]) -> list[list[Caption]]:
        """Caption some Docs, without changing them.

        RETURNS (list[list[Caption]]): The best captions of each Doc, the best first.
        RAISES (ValueError): If the component was neither initialized nor loaded.
        RAISES (PictureError): If a picture can't be read.
        """
        docs = list(docs)
        self.check_initialized()
        pictures = []
        for _, found in read_ahead([docs], self.find, self.pictures):
            for picture in found:
                if isinstance(picture, PictureError):
                    raise picture
                pictures.append(picture)
        return self._caption(docs, pictures)

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[list[Caption]]) -> None:
        for doc, captions in zip(docs, scores, strict=True):
            set_captions(doc, captions)
            image = get_image(doc)
            path = None
            if image is None or isinstance(image, str):
                name = doc.text if image is None else image
                path = os.path.abspath(os.path.join(self.image_dir, name))
            set_seen(doc, path, self.pictures.fit, self.pictures.max_pixels)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Caption a stream of Docs, in order. The pictures of a batch are read while the one
        before is captioned. Docs whose pictures can't be read go to the error handler; the
        others are captioned together. Between the updates of a training, and with
        `leaves_out = True`, they stay without a caption, with a warning.

        stream (Iterable[Doc]): The Docs.
        batch_size (int): Number of Docs to collect.
        YIELDS (Doc): The Docs.
        """
        self.check_initialized()
        handle_error = self.get_error_handler()
        batches = util.minibatch(stream, size=batch_size)
        for docs, pictures in read_ahead(batches, self.find, self.pictures):
            good: list[tuple[Doc, np.ndarray]] = []
            for doc, picture in zip(docs, pictures, strict=True):
                if not isinstance(picture, PictureError):
                    good.append((doc, picture))
                elif not (self._is_training or self.leaves_out):
                    handle_error(self.name, self, [doc], picture)
                else:  # keep the order
                    yield from self._finish(good, handle_error)
                    logger.warning("'%s' can't caption a picture: %s", self.name, picture)
                    set_captions(doc, [])
                    yield doc
                    good = []
            yield from self._finish(good, handle_error)

    def _finish(
        self, found: Sequence[tuple[Doc, np.ndarray]], handle_error: Callable
    ) -> Iterator[Doc]:
        docs, pictures = [doc for doc, _ in found], [picture for _, picture in found]
        if not docs:
            return
        try:
            self.set_annotations(docs, self._caption(docs, pictures))
        except Exception as error:
            if len(docs) == 1:
                handle_error(self.name, self, list(docs), error)
                return
            for item in found:
                yield from self._finish([item], handle_error)
        else:
            yield from docs

    def _caption(self, docs: Sequence[Doc], pictures: Sequence[np.ndarray]) -> list[list[Caption]]:
        captioner = PictureCaptioner(
            self.model,
            self.vocabulary,
            self._options,
            self.attention,
            self.batch_pictures,
            self.transform,
        )
        return captioner.caption(pictures, [doc.text for doc in docs])

    @property
    def _options(self) -> GenerationOptions:
        """Evaluations between updates are greedy."""
        if not self._is_training or not self.greedy_evaluation:
            return self.options
        return GenerationOptions(max_length=self.options.max_length, temperature=0.0)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Evaluate. See `spacy_seqgen.scorers`; and how well the model knows the true
        captions:

        RETURNS (dict[str, Any]): All scores, among them
            caption_perplexity: of a symbol of a caption, the ones before it given.
            caption_accuracy: share of the symbols that were the most probable ones.
        """
        examples = list(examples)
        validate_examples(examples, "ImageCaptioner.score")
        if not self.scorer:
            return {}
        scores = self.scorer(examples, **kwargs)
        return {**scores, **self._read([example.reference for example in examples])}

    def _read(self, docs: Sequence[Doc]) -> dict[str, float | None]:
        nats, correct, total = 0.0, 0, 0
        known = [doc for doc in docs if self.can_learn(doc)]
        for group in util.minibatch(known, self.batch_pictures):
            read = [it for it in self._load(group) if not isinstance(it[1], PictureError)]
            grids = encode_pictures(self.model, [picture for _, picture in read])
            found = [
                (grid, self.vocabulary.encode(text).ids)
                for (doc, _), grid in zip(read, grids, strict=True)
                for text in get_true_captions(doc)
            ]
            for part in util.minibatch(found, self.batch_pictures):
                features, ids = zip(*part, strict=True)
                batch = CaptionBatch(np.stack(features), *pad_targets(ids))
                nll, right = self.model.predict(batch)
                real = batch.targets != PAD
                nats += float(nll.double().sum())
                correct += int((right.cpu().numpy() & real).sum())
                total += int(real.sum())
        return {
            "caption_perplexity": math.exp(min(nats / total, 700.0)) if total else None,
            "caption_accuracy": correct / total if total else None,
        }
