"""`python -m benchmarks NAME`"""

import sys
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from wasabi import msg

from .harness import Row, print_table
from .page import update_page

NAMES = ("char-lm", "translator", "textcat", "captioner", "quality")


def main(
    name: Annotated[str, typer.Argument(help=f"What to measure: {', '.join(NAMES)}")],
    json: Annotated[Path | None, typer.Option(help="Write the rows as JSON")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the rows into this page: docs/benchmarks.md")
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure other packages too")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Rough, within a minute")] = False,
    only: Annotated[str, typer.Option(help="Only rows whose name holds this")] = "",
    text: Annotated[
        Path, typer.Option(help="Text to learn; get it with: python -m spacy project assets")
    ] = Path("assets/tinyshakespeare.txt"),
    pairs: Annotated[
        Path, typer.Option(help="Folder of Multi30k; the phrasebook is used if it is not there")
    ] = Path("assets/multi30k"),
    joeynmt: Annotated[
        str, typer.Option(help="With --peers: the Python of an environment that has JoeyNMT")
    ] = sys.executable,
    model: Annotated[
        Path | None, typer.Option(help="Where to keep the translator to decode with, for later")
    ] = None,
    updates: Annotated[
        int, typer.Option(help="Updates that a translator learns for before it decodes")
    ] = 600,
    sst2: Annotated[
        Path, typer.Option(help="Folder of the Stanford Sentiment Treebank, for textcat")
    ] = Path("assets/sst2"),
    glove: Annotated[
        Path | None, typer.Option(help="Word vectors of 50 values, for textcat: glove.6B.50d.txt")
    ] = None,
    metrics: Annotated[
        Path, typer.Option(help="Folder of the workflows' scores, for quality")
    ] = Path("metrics"),
) -> None:
    """
    Measure speed and quality against plain PyTorch, written as well as we can; or, with
    quality, collect what the project's workflows have reached.

    Both sides run in turn in one process, on one thread unless a row says otherwise; the
    table has the medians of five rounds. Without --quick, models are trained to the end,
    which takes an hour. Examples:

    python -m benchmarks char-lm --quick

    python -m benchmarks translator --only decoding
    """
    if name not in NAMES:
        msg.fail(f"There is no benchmark {name!r}. There are: {', '.join(NAMES)}", exits=1)
    if name == "translator":
        from .translator import Benchmark as TranslatorBenchmark

        rows = TranslatorBenchmark(
            pairs,
            quick=quick,
            peers=peers,
            only=only,
            joeynmt=joeynmt,
            model=model,
            updates=updates,
        ).run()
    elif name == "textcat":
        rows = _textcat(sst2, quick=quick, peers=peers, only=only, glove=glove)
    elif name == "captioner":
        from .captioner import Benchmark as CaptionerBenchmark

        rows = CaptionerBenchmark(quick=quick, only=only).run()
    elif name == "quality":
        rows = _quality(metrics, only)
    else:
        rows = _char_lm(text, quick=quick, peers=peers, only=only)
    print_table(rows, "Keras" if name == "char-lm" else "Peer")
    if json:
        srsly.write_json(json, [row.to_dict() for row in rows])
        msg.good(f"Wrote {len(rows)} rows to {json}")
    if page:
        update_page(page, name, rows, sys.argv[1:])
        msg.good(f"Wrote {len(rows)} rows into {page}")


def _quality(folder: Path, only: str) -> list[Row]:
    from .quality import measure_quality

    try:
        rows = measure_quality(folder, only)
    except ValueError as error:
        msg.fail(str(error), exits=1)
    if not rows:
        msg.fail(
            f"There are no scores in {folder}",
            "Workflows write them: python -m spacy project run phrasebook",
            exits=1,
        )
    return rows


def _char_lm(text: Path, **options: Any) -> list[Row]:
    if not text.exists():
        msg.fail(
            f"There is no text {text}",
            "Get it with `python -m spacy project assets`, or give another one with --text.",
            exits=1,
        )
    from .char_lm import Benchmark

    return Benchmark(text, **options).run()


def _textcat(folder: Path, **options: Any) -> list[Row]:
    if not (folder / "stsa.binary.train").exists():
        msg.fail(
            f"There is no {folder / 'stsa.binary.train'}",
            "Get it with `python -m spacy project assets --extra`, or give its folder with --sst2.",
            exits=1,
        )
    from .textcat import Benchmark

    return Benchmark(folder, **options).run()


if __name__ == "__main__":
    typer.run(main)
