"""Reading pictures and their captions (`@readers`)."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import logger

from .captions import get_caption_texts, get_image, set_captions, share_image
from .outputs import install_extensions
from .pictures import PictureError, find_picture
from .pictures.errors import NoPictureError, OutsideError
from .pictures.sources import is_address
from .readers import shuffled
from .regions import Regions, read_regions, set_regions
from .textfiles import TextFileError, read_blocks, read_lines

_LONGEST = 200  # characters of a name in a message
_NAMED = 5  # of those that are left out for the same reason
SUFFIXES = tuple(
    ".jpg .jpeg .jfif .jp2 .png .gif .bmp .webp .tif .tiff .tga .ppm .pgm .pbm".split()
)


class Captioned(NamedTuple):
    """A picture and its captions; where the things are that they name, if that is known; from a
    `.spacy` file, its Example."""

    image: str
    captions: list[str]
    regions: Regions | None = None
    example: Example | None = None


class ImageCaptions:
    """A corpus of pictures with captions. The text of both Docs of an Example is the absolute
    path of the picture; the captions are `reference._.captions`."""

    def __init__(
        self,
        path: str | Path,
        image_dir: str | Path | None,
        split: str | Path | None,
        *,
        limit: int,
        shuffle_buffer: int,
        seed: int,
    ):
        for name, value in (("limit", limit), ("shuffle_buffer", shuffle_buffer)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, got {value}")
        self.path = Path(path)
        self.image_dir = image_dir
        self.split = split
        self.limit = limit
        self.shuffle_buffer = shuffle_buffer
        self.seed = seed
        self.epoch = 0

    def __call__(self, nlp: Language) -> Iterator[Example]:
        rng = random.Random(f"{self.seed} {self.epoch}")
        self.epoch += 1
        for item in shuffled(self.items(nlp), self.shuffle_buffer, rng):
            if item.example is not None:
                share_image(item.example.reference, item.example.predicted)
                yield item.example
                continue
            try:
                reference = nlp.make_doc(item.image)
                "".join(item.captions).encode("utf8")
            except UnicodeEncodeError as error:
                raise TextFileError(
                    f"{item.image!r} or a caption of it in {self.path} has half a surrogate pair: "
                    f"{error}"
                ) from error
            set_captions(reference, item.captions)
            if item.regions is not None:
                set_regions(reference, item.regions)
            yield Example(nlp.make_doc(item.image), reference)

    def items(self, nlp: Language) -> Iterator[Captioned]:
        """The pictures that are there and have a caption.

        nlp (Language): For the Docs of a `.spacy` file.
        RAISES (TextFileError): If there is none, or the file can't be read.
        """
        dropped: Counter[str] = Counter()
        examples: dict[str, list[str]] = {}
        kept = 0
        for item in self._read(nlp):
            captions = [text.strip() for text in item.captions if text.strip()]
            reason = "no caption" if not captions else None
            if item.example is None or (self.image_dir and _is_named(item.example.reference)):
                reason = self._find_fault(item.image) or reason
            if reason:
                dropped[reason] += 1
                examples.setdefault(reason, []).append(_shown(item.image))
                del examples[reason][_NAMED:]
                continue
            kept += 1
            yield item._replace(captions=list(dict.fromkeys(captions)))
            if kept == self.limit:
                break
        reasons = ", ".join(
            f"{n} with {r} ({', '.join(examples[r])}{', ...' if n > _NAMED else ''})"
            for r, n in dropped.items()
        )
        if not kept:
            why = f" Left out: {reasons}" if dropped else ""
            raise TextFileError(f"There is no picture with a caption in {self.path}.{why}")
        if dropped and self.epoch <= 1:
            logger.warning("Left out of %s: %s; %d kept", self.path, reasons, kept)

    def _find_fault(self, image: str) -> str | None:
        try:
            find_picture(image, self.image_dir or "")
        except NoPictureError:
            return "no picture"
        except OutsideError:
            return "a picture outside of image_dir"
        except PictureError:
            if is_address(image):
                return "an address, which is not fetched"
            return "a picture that can't be read"
        return None

    def _read(self, nlp: Language) -> Iterator[Captioned]:
        path, names = self.path, None
        if self.split:
            names = {line.strip() for line in read_lines(self.split) if line.strip()}
        if path.suffix == ".spacy":
            for example in Corpus(path)(nlp):
                image = example.reference.text
                # Paths may be absolute, as this reader makes them.
                if names is None or not names.isdisjoint((image, Path(image).name)):
                    yield Captioned(image, get_caption_texts(example.reference), example=example)
            return
        if not path.exists():
            raise TextFileError(f"There is no file {path}")
        folder = Path(self.image_dir or (path if path.is_dir() else path.parent)).resolve()
        for item in _read_any(path):
            if names is None or item.image in names:
                # Absolute, so that it is found whatever image_dir the captioner has.
                if not is_address(item.image):
                    item = item._replace(image=str(folder / item.image))
                yield item


def _shown(name: str) -> str:
    """A name for a message, whatever is in it."""
    short = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
    return short.encode("utf8", "backslashreplace").decode("utf8")


def _is_named(doc: Doc) -> bool:
    """Whether it is the text that names the picture."""
    return get_image(doc) is None


def _read_any(path: Path) -> Iterator[Captioned]:
    """Names of pictures and their captions, from any of the formats."""
    name = path.name.removesuffix(".gz")
    if path.is_dir():
        yield from starmap(Captioned, read_folder(path))
    elif name.endswith(".jsonl"):
        yield from _read_jsonl(path)
    elif name.endswith(".json"):
        yield from starmap(Captioned, _read_coco(path))
    else:
        yield from starmap(Captioned, _read_flickr(path))


def read_folder(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Names of the pictures in a folder, and their captions: the lines of the .txt file beside
    each, if there is one."""
    for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES):
        captions = file.with_suffix(".txt")
        texts = list(read_lines(captions)) if captions.is_file() else []
        yield str(file.relative_to(path)), texts


def _read_jsonl(path: Path) -> Iterator[Captioned]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            data = srsly.json_loads(line)
        except ValueError as error:
            raise TextFileError(f"{place} is not JSON: {error}") from error
        if not isinstance(data, dict) or not isinstance(data.get("image"), str):
            raise TextFileError(f'{place} has no "image": {line[:80]!r}')
        captions = data.get("captions", data.get("caption")) or []
        captions = [captions] if isinstance(captions, str) else captions
        if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
            raise TextFileError(f'"captions" must be a list of strings in {place}: {line[:80]!r}')
        try:
            yield Captioned(data["image"], captions, read_regions(data, captions))
        except ValueError as error:
            raise TextFileError(f"{place}: {error}") from error


def _read_coco(path: Path) -> Iterator[tuple[str, list[str]]]:
    """https://cocodataset.org/#format-data"""
    try:
        data = srsly.json_loads("".join(read_blocks(path)))
        names = {image["id"]: image["file_name"] for image in data["images"]}
        found: dict[Any, list[str]] = {key: [] for key in names}
        for item in data["annotations"]:
            if item["image_id"] in found and item["caption"] is not None:
                found[item["image_id"]].append(str(item["caption"]))
    except (ValueError, KeyError, TypeError) as error:
        raise TextFileError(
            f'{path} is not the JSON of COCO captions, with "images" (id, file_name) and '
            f'"annotations" (image_id, caption): {error!r}'
        ) from error
    for key, name in names.items():
        yield str(name), found[key]


def _read_flickr(path: Path) -> Iterator[tuple[str, list[str]]]:
    """As in Flickr8k.token.txt: NAME#NUMBER TAB caption."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab:
            raise TextFileError(
                f"{path}, line {number} has no tab, but a line is 'picture#0 TAB caption': "
                f"{line[:80]!r}"
            )
        found.setdefault(name.rpartition("#")[0] or name, []).append(caption)
    yield from found.items()


def create_image_captions_reader(
    path: str | Path | None,
    image_dir: str | Path | None = None,
    split: str | Path | None = None,
    limit: int = 0,
    shuffle_buffer: int = 0,
    seed: int = 0,
) -> Callable[[Language], Iterable[Example]]:
    """Read pictures and their captions. Registered as `spacy-seqgen.image_captions.v1`
    (`@readers`).

    path (str | Path): JSONL ("image", "captions", and perhaps "regions"), COCO captions
        (.json), the captions of Flickr8k (Flickr8k.token.txt), a folder of pictures with a
        .txt file beside each, or a `.spacy` file whose texts are paths.
    image_dir (str | Path | None): The folder of the pictures; those that are elsewhere are
        left out. None for the one of `path`, and pictures may be anywhere.
    split (str | Path | None): A file with the names of the pictures to read, one on each
        line; None for all.
    limit (int): Read no more pictures than this. 0 reads all.
    shuffle_buffer (int): Pictures held to be mixed, for a corpus that is streamed
        (`max_epochs = -1`); 0 keeps their order.
    seed (int): Of the mixing.
    """
    if path is None:
        raise TextFileError(
            "The reader of captions has no path. Set it in the config or on the command line, for "
            "instance --paths.train FILE --paths.dev FILE"
        )
    install_extensions()
    return ImageCaptions(
        path, image_dir or None, split or None,
        limit=limit, shuffle_buffer=shuffle_buffer, seed=seed,
    )  # fmt: skip
