"""`spacy seqgen translate`"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from tqdm import tqdm
from wasabi import msg

from .app import app


@app.command("translate")
def translate_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a translator"),
    file: Path = Arg(
        ...,
        help='File with a text to translate in each line, or JSONL with "text"; - for standard '
        "input",
        allow_dash=True,
    ),
    beam_size: int | None = Opt(
        None, "--beam-size", "-b", help="Hypotheses kept by beam search; 1 is greedy"
    ),
    n_best: int | None = Opt(None, "--n-best", "-n", help="Translations of each text"),
    max_length: int | None = Opt(None, "--max-length", "-l", help="Most symbols of a translation"),
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
    from .common import find_component, load_pipeline, open_output

    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    _, pipe = find_component(nlp, "translator", component)
    try:
        pipe.options = choose_options(pipe.options, beam_size, n_best, max_length)
        if output is None:
            for _, text, found in _translations(nlp, pipe, file, batch_size):
                _show(text, found)
            return
        written = 0
        with open_output(output) as out, tqdm(unit=" texts", disable=None) as progress:
            for _, text, found in _translations(nlp, pipe, file, batch_size):
                _write_row(out, text, found)
                progress.update()
                written += 1
        msg.good(f"Wrote translations of {written} texts to {output}")
    except ValueError as error:
        msg.fail("Can't translate", str(error), exits=1)
    except KeyboardInterrupt:
        msg.warn("Interrupted", f"Translations made so far are in {output}" if output else "")
        sys.exit(130)


def choose_options(
    options: Any, beam_size: int | None, n_best: int | None, length: int | None
) -> Any:
    """The options of a component with those of a command: a beam is as wide as the number
    of translations needs."""
    given: dict[str, Any] = {"beam_size": beam_size, "num_samples": n_best, "max_length": length}
    if beam_size == 1:
        given["temperature"] = 0.0  # greedy, not a sample
    elif n_best is not None and beam_size is None:
        given["beam_size"] = max(n_best, options.beam_size)
    return replace(options, **{name: value for name, value in given.items() if value is not None})


def _translations(
    nlp: Any, pipe: Any, file: Path, batch_size: int
) -> Iterator[tuple[int, str, list]]:
    """Each text of a file with its translations, a batch at a time."""
    from spacy.util import minibatch

    from .common import make_doc, read_texts

    for batch in minibatch(enumerate(read_texts(file), 1), batch_size):
        docs = [make_doc(nlp, text, f"{file}, text {number}") for number, text in batch]
        for (number, text), found in zip(batch, pipe.predict(docs), strict=True):
            yield number, text, found


def _show(text: str, found: list) -> None:
    if len(found) == 1:
        print(found[0].text, flush=True)
        return
    print(text)
    for item in found:
        print(f"  {item.log_prob:8.2f}  {item.text}", flush=True)


def _write_row(file: IO, text: str, found: list) -> None:
    others = [{"text": i.text, "log_prob": _rounded(i.log_prob)} for i in found]
    meta = {"finish_reason": found[0].finish_reason, "translations": others}
    row = {"text": text, "translation": found[0].text, "meta": meta}
    file.write(srsly.json_dumps(row) + "\n")
    file.flush()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
