"""What a component needs that reads pictures: where they are, and those of a training."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy import util
from spacy.tokens import Doc
from spacy.util import logger

from ..captions import get_image
from ..models.shim import get_shim
from ..pictures import Picture, PictureError, PictureSettings, find_picture
from ..pictures.loading import read_ahead
from ..regions import get_regions
from .base import GeneratingPipe
from .captioning import encode_pictures
from .features import FeatureCache

_READ_FIRST = 8  # pictures of the training data at a time, to see whether any is there


class PicturePipe(GeneratingPipe):
    """The picture of a Doc is the one that its text names, or `doc._.image`.

    pictures (PictureSettings): How they are read.
    image_dir (str): Where they are; empty for any place.
    feature_cache (int): Most megabytes kept of those that are learned from.
    settings (Any): As for every `GeneratingPipe`.
    """

    def __init__(
        self, *settings: Any, pictures: PictureSettings, image_dir: str, feature_cache: int
    ):
        super().__init__(*settings)
        self.pictures = pictures
        self.image_dir = image_dir
        self.features = FeatureCache(feature_cache)
        self._grid: tuple[int, int] | None = None

    def find(self, doc: Doc) -> Picture:
        """The picture of a Doc.

        RAISES (PictureError): If there is none, or it may not be read.
        """
        image = get_image(doc)
        if image is None or isinstance(image, str):
            return find_picture(doc.text if image is None else image, self.image_dir)
        return Picture(f"The picture of the Doc {doc.text[:60]!r}", image)

    def _forget_pictures(self) -> None:
        """With another encoder nothing that was made of them is right."""
        self.features.clear()
        self._grid = None

    def _check_pictures(self, docs: Iterable[Doc]) -> None:
        """RAISES (PictureError): If none can be read."""
        errors: list[PictureError] = []
        for _, found in read_ahead(util.minibatch(docs, _READ_FIRST), self.find, self.pictures):
            bad = [item for item in found if isinstance(item, PictureError)]
            if len(bad) < len(found):
                return
            errors += bad
        raise errors[0]

    def _check_regions(self, docs: Iterable[Doc]) -> None:
        """RAISES (ValueError): If it is not known where they are after a picture was varied."""
        augmenter = self.pictures.augmenter
        if augmenter and augmenter.moves and any(get_regions(doc) for doc in docs):
            raise ValueError(
                f"'{self.name}' can't guide attention by the regions of the training data with an "
                "augmenter that moves things: set its crop = 1, flip = 0 and rotate = 0, or "
                "guided_attention = 0 in the model"
            )

    def _find_grid(self, pictures: np.ndarray) -> tuple[int, int]:
        """Rows and columns of the grid that the encoder makes of pictures, or made of them."""
        if pictures.dtype != np.uint8:
            rows, columns = pictures.shape[2:]
            return rows, columns
        if self._grid is None:
            (grid,) = encode_pictures(self.model, list(pictures[:1]))
            self._grid = grid.shape[1:]
        return self._grid

    def _read_for_training(self, docs: Sequence[Doc]) -> list[tuple[Doc, np.ndarray]]:
        """Docs and their pictures, without those that can't be read; or, of an encoder that
        does not learn, the features. Both are kept, unless pictures differ each time."""
        if self.pictures.augmenter or not self.features.limit:
            loaded = self._load(docs, lambda: np.random.bytes(8).hex())
            return [(doc, item) for doc, item in loaded if not isinstance(item, PictureError)]
        frozen = get_shim(self.model).net.encoder.frozen

        def make(numbers: list[int]) -> list[np.ndarray | None]:
            loaded = [item for _, item in self._load([docs[number] for number in numbers])]
            good = [item for item in loaded if not isinstance(item, PictureError)]
            made = iter(encode_pictures(self.model, good) if frozen else good)
            return [None if isinstance(item, PictureError) else next(made) for item in loaded]

        kept = self.features.get([self._find_key(doc) for doc in docs], make)
        return [
            (doc, item.astype(np.float32) if frozen else item)
            for doc, item in zip(docs, kept, strict=True)
            if item is not None
        ]

    def _find_key(self, doc: Doc) -> tuple[Any, ...] | None:
        try:
            key = self.find(doc).key
            return key and (*key, *self.pictures.shape)
        except PictureError:
            return None  # it is said when the picture is read

    def _load(
        self, docs: Sequence[Doc], seeds: Callable[[], str] | None = None
    ) -> Iterator[tuple[Doc, Any]]:
        """Docs and their pictures, for training and evaluation."""
        for _, found in read_ahead([docs], self.find, self.pictures, seeds):
            for doc, picture in zip(docs, found, strict=True):
                if isinstance(picture, PictureError):
                    logger.warning("'%s' leaves out a picture: %s", self.name, picture)
                yield doc, picture
