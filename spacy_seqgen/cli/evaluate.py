"""`spacy seqgen evaluate`"""

from pathlib import Path
from typing import Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from wasabi import msg

from .app import app

_GENERATING = ("translator", "image_captioner")  # what is compared with what Docs bring


@app.command("evaluate")
def evaluate_cli(
    model: str = Arg(..., help="Name or path of a pipeline"),
    path: Path = Arg(
        ...,
        help='Evaluation data: .spacy, .jsonl with "text", or running text; for a translator, '
        "pairs (source TAB translation) or the sources; for a captioner, pictures with captions; "
        "for a text classifier, labelled texts (.tsv, .csv, .jsonl, or a folder for each class)",
        exists=True,
    ),
    target: Path | None = Opt(
        None, "--target", "-t", help="The translations, one on each line", exists=True
    ),
    image_dir: Path | None = Opt(
        None, "--image-dir", help="The folder of the pictures, if not that of PATH", exists=True
    ),
    split: Path | None = Opt(
        None, "--split", help="File with the names of the pictures to evaluate on", exists=True
    ),
    format: str = Opt(
        "auto", "--format", "-f", help="Of labelled texts, if the ending does not tell"
    ),
    start: str = Opt(
        "0",
        "--start",
        help="Where to begin in running text: a number of characters, or a share such as 0.9",
    ),
    stop: str = Opt("1.0", "--stop", help="Where to end, likewise"),
    output: Path | None = Opt(
        None, "--output", "-o", help="Write the scores as JSON", dir_okay=False
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Evaluate a pipeline and show every score of every component.

    `spacy evaluate` shows only the scores that spaCy itself knows, and reads .spacy
    files only. Examples:

    python -m spacy seqgen evaluate training/topics/model-best corpus/topics.txt --start 0.9

    python -m spacy seqgen evaluate training/phrasebook/model-best test.en --target test.fr

    python -m spacy seqgen evaluate training/sentiment/model-best test.tsv
    """
    from ..image_captions import create_image_captions_reader
    from .common import load_pipeline, open_output, read_examples
    from .score import _parse_bound

    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    for name in nlp.pipe_names:
        pipe = nlp.get_pipe(name)
        if hasattr(pipe, "generate_text"):
            pipe.generate_text = False  # no score needs it
        if hasattr(pipe, "leaves_out"):
            pipe.leaves_out = True  # a damaged picture is a wrong caption, with a warning
    try:
        if image_dir or split:
            examples = list(create_image_captions_reader(path, image_dir, split)(nlp))
        else:
            bounds = _parse_bound(start), _parse_bound(stop)
            examples = list(read_examples(nlp, path, *bounds, target, format))
        if not examples:
            raise ValueError(f"There is no text in {path}")
        scores = nlp.evaluate(examples, per_component=True)
    except ValueError as error:
        msg.fail("Can't evaluate", str(error), exits=1)
    for name, values in scores.items():
        if isinstance(values, dict) and values:
            msg.divider(name)
            made = name in nlp.pipe_names and nlp.get_pipe_meta(name).factory in _GENERATING
            if made and all(value is None for value in values.values()):
                msg.warn(
                    f"{path} has nothing that '{name}' could be compared with",
                    "A .spacy file keeps translations and captions only if it was made with "
                    "DocBin(store_user_data=True)" if path.suffix == ".spacy" else "",
                )  # fmt: skip
            groups = values.get("bleu_by_length") or {}
            shown = {key: value for key, value in values.items() if not isinstance(value, dict)}
            msg.table([(key, _format(value)) for key, value in sorted(shown.items())])
            if len(groups) > 1:
                rows = [(k, _format(v["bleu"]), v["sentences"]) for k, v in groups.items()]
                msg.table(rows, header=("words in the source", "bleu", "sentences"), divider=True)
            classes = values.get("cats_f_per_type") or {}
            if classes:
                rows = [(k, *(_format(v[n]) for n in "prf")) for k, v in classes.items()]
                msg.table(rows, header=("class", "p", "r", "f"), divider=True)
    if output:
        try:
            with open_output(output, path, target) as file:
                file.write(srsly.json_dumps(scores, indent=2) + "\n")
        except ValueError as error:
            msg.fail("Can't save the scores", str(error), exits=1)
        msg.good(f"Saved results to {output}")


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else str(value)
