"""`spacy seqgen caption`"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from spacy.tokens import Doc
from tqdm import tqdm
from wasabi import msg

from .app import app

_FIGURES = (".png", ".pdf", ".svg")
_ON_A_PAGE = 2000  # pictures
_GOLD = "spacy_seqgen.cli.gold"


@app.command("caption")
def caption_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a captioner of images"),
    files: list[Path] = Arg(
        ...,
        help="Pictures, folders of pictures, or captions files as for the reader image_captions.v1",
    ),
    output: Path | None = Opt(
        None,
        "--output",
        "-o",
        help="Write JSONL (.jsonl), a contact sheet (.html), or where the captioner looked in the first picture (.png, .pdf, .svg), instead of showing the captions",
        dir_okay=False,
    ),
    attention: bool = Opt(
        False, "--attention", "-a", help="With .html: each picture once for each word"
    ),
    beam_size: int | None = Opt(
        None, "--beam-size", "-b", help="Hypotheses kept by beam search; 1 is greedy"
    ),
    n_best: int | None = Opt(None, "--n-best", "-n", help="Captions of each picture"),
    max_length: int | None = Opt(None, "--max-length", "-l", help="Most symbols of a caption"),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the captioner, if there are several"
    ),
    limit: int = Opt(0, "--limit", help="Caption no more pictures than this; 0 for all", min=0),
    batch_size: int = Opt(128, "--batch-size", help="Pictures to collect at a time", min=1),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Caption pictures. With a captions file, the contact sheet marks what is right and wrong.

    Examples:

    python -m spacy seqgen caption training/scenes/model-best photo.png

    python -m spacy seqgen caption training/scenes/model-best photo.png --output attention.png

    python -m spacy seqgen caption training/scenes/model-best corpus/scenes/test.jsonl
    --output sheet.html
    """
    from .common import count, fail, find_component, load_pipeline
    from .translate import choose_options

    kinds = (".jsonl", ".html", *_FIGURES)
    if output is not None and output.suffix.lower() not in kinds:
        msg.fail(f"--output must end in one of {', '.join(kinds)}, got {output}", exits=1)
    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    name, pipe = find_component(nlp, "image_captioner", component)
    is_figure = output is not None and output.suffix.lower() in _FIGURES
    pipe.attention = is_figure or attention
    try:
        pipe.options = choose_options(pipe.options, beam_size, n_best, max_length)
        everything = find_items(nlp, files, in_folder=bool(pipe.image_dir))
        items = islice(everything, limit or None)
        # A figure is of one picture: of the first that can be read.
        found = captions(nlp, name, items, 1 if is_figure else batch_size)
        if output is None:
            for doc, _ in found:
                for caption in doc._.captions:
                    print(f"{doc.text}\t{caption.text}", flush=True)
            return
        written = _write(output, found, attention)
        msg.good(f"Wrote captions of {count(written, 'picture')} to {output}")
    except (ValueError, ImportError, OSError) as error:
        fail("Can't caption", str(error))
    except KeyboardInterrupt:
        msg.warn("Interrupted")
        sys.exit(130)


# The path of a picture, its true captions where these are known, and a Doc that may hold it.
Item = tuple[str, list[str], Doc | None]


def find_items(nlp: Any, files: list[Path], *, in_folder: bool = False) -> Iterator[Item]:
    """What there is to caption.

    in_folder (bool): Whether the captioner has an image_dir, where relative paths begin.
    """
    from ..captions import get_caption_texts
    from ..image_captions import create_image_captions_reader, read_folder

    for file in files:
        if file.is_dir():
            folder = file.resolve() if in_folder else file
            found = list(read_folder(file))
            if not found:
                raise ValueError(f"There is no picture in the folder {file}")
            for name, texts in found:
                yield str(folder / name), [text.strip() for text in texts if text.strip()], None
        elif file.name.removesuffix(".gz").endswith((".jsonl", ".json", ".txt", ".spacy")):
            for example in create_image_captions_reader(file)(nlp):
                doc = example.reference
                yield doc.text, get_caption_texts(doc), doc
        else:
            # Absolute, so that it is found whatever image_dir the captioner has. One that is not
            # there may be one of image_dir's.
            yield str(file.resolve() if in_folder and file.exists() else file), [], None


def captions(
    nlp: Any, name: str, items: Iterator[Item], batch_size: int
) -> Iterator[tuple[Doc, list[str]]]:
    """Docs with their captions, and the true ones.

    name (str): The captioner in the pipeline.
    RAISES (ValueError): When all others are captioned, if some pictures could not be.
    """
    from ..captions import share_image
    from .common import make_doc, run_component

    def docs() -> Iterator[Doc]:
        for path, texts, known in items:
            doc = make_doc(nlp, path, "The command line")
            if known is not None:
                share_image(known, doc)
            doc.user_data[_GOLD] = texts  # not by path: a picture may be there twice
            yield doc

    complaint = "could not be captioned"
    for doc in run_component(nlp, name, docs(), batch_size, "picture", complaint):
        yield doc, doc.user_data.pop(_GOLD)


def _write(output: Path, found: Iterator[tuple[Doc, list[str]]], attention: bool) -> int:
    from ..visualize import save_caption

    if output.suffix.lower() in _FIGURES:
        output.parent.mkdir(parents=True, exist_ok=True)
        for doc, _ in found:
            print(doc._.caption)
            save_caption(doc, output)
            return 1
        return 0
    try:
        return _write_rows(output, found, attention)
    finally:  # an empty page or file would be of no use
        if output.is_file() and not output.stat().st_size:
            output.unlink()


def _write_rows(output: Path, found: Iterator[tuple[Doc, list[str]]], attention: bool) -> int:
    from ..visualize.captions import STYLE, render_caption, render_sheet
    from ..visualize.html import with_style
    from .common import open_output

    written = 0
    with open_output(output) as file, tqdm(unit=" pictures", disable=None) as progress:
        rows: list[tuple[Doc, list[str]]] = []
        try:
            for doc, gold in found:
                progress.update()
                written += 1
                if output.suffix.lower() == ".jsonl":
                    file.write(srsly.json_dumps(_row(doc, gold)) + "\n")
                    file.flush()
                elif len(rows) < _ON_A_PAGE:
                    rows.append((doc, gold))
        finally:  # that some could not be captioned is said at the end: the others are shown
            if rows:
                if written > len(rows):
                    msg.warn(f"The page shows the first {len(rows)} of {written} pictures")
                parts = (
                    [render_caption(doc) for doc, _ in rows] if attention else [render_sheet(rows)]
                )
                file.write(with_style(STYLE, parts, "Captions"))
    return written


def _row(doc: Doc, gold: list[str]) -> dict[str, Any]:
    from ..caption_scores import is_right

    best = doc._.captions[0]
    others = [{"text": i.text, "log_prob": round(i.log_prob, 4)} for i in doc._.captions]
    row = {"image": doc.text, "caption": best.text}
    if gold:
        row |= {"captions": gold, "right": is_right(best.text, gold)}
    return {**row, "meta": {"finish_reason": best.finish_reason, "candidates": others}}
