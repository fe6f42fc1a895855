"""`spacy seqgen translate`"""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from spacy.tokens import Doc
from tqdm import tqdm
from wasabi import msg

from .app import app

_META = "spacy_seqgen.translate_meta"  # in user_data of a Doc: what its row of JSONL had


@app.command("translate")
def translate_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a translator"),
    file: Path = Arg(
        ...,
        help='File with a text to translate in each line, or JSONL (.jsonl) with "text"; - for '
        "lines of standard input",
        allow_dash=True,
    ),
    beam_size: int | None = Opt(
        None, "--beam-size", "-b", min=1, help="Hypotheses kept by beam search; 1 is greedy"
    ),
    beam_threshold: float | None = Opt(
        None,
        "--beam-threshold",
        min=0,
        help="Drop hypotheses that are behind by more than this; 0 for none",
    ),
    n_best: int | None = Opt(None, "--n-best", "-n", min=1, help="Translations of each text"),
    max_length: int | None = Opt(
        None, "--max-length", "-l", min=0, help="Most symbols of a translation"
    ),
    output: Path | None = Opt(
        None,
        "--output",
        "-o",
        help="Write JSONL (text, translation, meta) instead of showing the translations",
        dir_okay=False,
    ),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the translator, if there are several"
    ),
    limit: int = Opt(0, "--limit", help="Translate no more texts than this; 0 for all", min=0),
    batch_size: int = Opt(256, "--batch-size", help="Texts to collect at a time", min=1),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Translate texts.

    What is not given here is as the pipeline's config has it, in the section
    [components.translator.generation]. Examples:

    echo "The weather is fine." | python -m spacy seqgen translate training/phrasebook/model-best -

    python -m spacy seqgen translate training/phrasebook/model-best texts.txt --beam-size 5
    --n-best 3 --output translations.jsonl
    """
    from .common import count, fail, find_component, load_pipeline, open_output

    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    name, pipe = find_component(nlp, "translator", component)
    try:
        pipe.options = choose_options(pipe.options, beam_size, n_best, max_length, beam_threshold)
        rows = islice(_read_rows(file), limit or None)
        found = translations(nlp, name, rows, str(file), batch_size)
        if output is None:
            for doc, items in found:
                _show(doc.text, items)
            return
        written, start = 0, time.perf_counter()
        with open_output(output, file) as out, tqdm(unit=" texts", disable=None) as progress:
            for doc, items in found:
                _write_row(out, doc, items)
                progress.update()
                written += 1
        rate = written / (time.perf_counter() - start)
        msg.good(
            f"Wrote translations of {count(written, 'text')} to {output} ({rate:.1f} a second)"
        )
    except ValueError as error:
        fail("Can't translate", str(error))
    except KeyboardInterrupt:
        msg.warn("Interrupted", f"Translations made so far are in {output}" if output else "")
        sys.exit(130)


def choose_options(
    options: Any,
    beam_size: int | None,
    n_best: int | None,
    length: int | None,
    threshold: float | None = None,
) -> Any:
    """The options of a component with those of a command: a beam is as wide as the number
    of translations needs."""
    from ..generation.options import SAMPLING_OFF

    given: dict[str, Any] = {
        "beam_size": beam_size,
        "num_samples": n_best,
        "max_length": length,
        "beam_threshold": threshold,
    }
    if beam_size is not None and n_best is not None and n_best > beam_size:
        raise ValueError(f"--n-best {n_best} needs a --beam-size of as many, got {beam_size}")
    if beam_size == 1:  # greedy, not a sample
        given |= {"temperature": 0.0, "coverage_beta": 0.0, "num_samples": 1}
    elif n_best is not None and beam_size is None:
        given["beam_size"] = max(n_best, options.beam_size)
    if (given["beam_size"] or 1) > 1 and options.beam_size == 1:
        given |= SAMPLING_OFF  # a beam does not sample
    return replace(options, **{name: value for name, value in given.items() if value is not None})


def translations(
    nlp: Any, name: str, rows: Iterable[tuple[str, Any]], where: str, batch_size: int
) -> Iterator[tuple[Doc, list]]:
    """Texts as Docs, with their translations.

    name (str): The translator in the pipeline.
    rows (Iterable[tuple[str, Any]]): Texts, and what else was known of them: `_META` of the Docs.
    where (str): Where the texts come from.
    RAISES (ValueError): When all others are translated, if some texts could not be.
    """
    from .common import make_doc, run_component

    def docs() -> Iterator[Doc]:
        for number, (text, meta) in enumerate(rows, 1):
            doc = make_doc(nlp, text, f"{where}, text {number}")
            doc.user_data[_META] = meta
            yield doc

    for doc in run_component(nlp, name, docs(), batch_size, "text", "could not be translated"):
        yield doc, doc._.translations


def _read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    from .common import is_jsonl, read_jsonl_rows, read_texts

    if is_jsonl(path) and path.is_file():
        return ((row["text"], _writable(row.get("meta"))) for _, row in read_jsonl_rows(path))
    return ((text, None) for text in read_texts(path))


def _writable(meta: Any) -> dict[str, Any]:
    """What can be written as it was read: no infinite number, no half a surrogate pair."""
    try:
        srsly.json_dumps(meta).encode("utf8")
    except (ValueError, OverflowError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _show(text: str, found: list) -> None:
    if len(found) == 1:
        print(found[0].text, flush=True)
        return
    print(text)
    for item in found:
        print(f"  {item.log_prob:8.2f}  {item.text}", flush=True)


def _write_row(file: IO, doc: Doc, found: list) -> None:
    others = [{"text": i.text, "log_prob": _rounded(i.log_prob)} for i in found]
    given = doc.user_data.get(_META) or {}  # none, if a component made a Doc of its own
    meta = {**given, "finish_reason": found[0].finish_reason, "translations": others}
    row = {"text": doc.text, "translation": found[0].text, "meta": meta}
    file.write(srsly.json_dumps(row) + "\n")
    file.flush()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
