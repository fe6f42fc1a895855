"""`spacy seqgen convert`"""

from pathlib import Path

import spacy
from spacy.cli._util import Arg, Opt
from spacy.tokens import DocBin
from tqdm import tqdm
from wasabi import msg

from ..labelled import Census
from .app import app


@app.command("convert")
def convert_cli(
    path: Path = Arg(
        ...,
        help="Pairs: source TAB translation, or JSONL; or the sources. With --task textcat: text TAB label, .csv, .jsonl, or a folder",
        exists=True,
    ),
    output: Path = Arg(..., help="File to write, .spacy", dir_okay=False),
    task: str = Opt("translation", "--task", help='What it is for: "translation" or "textcat"'),
    target: Path | None = Opt(
        None, "--target", "-t", help="The translations, one on each line", exists=True
    ),
    lang: str = Opt("xx", "--lang", "-l", help="Language of the sources, for the tokenizer"),
    max_length: int = Opt(0, "--max-length", help="Leave out pairs with a longer side; 0 for none"),
    max_ratio: float = Opt(
        0.0, "--max-ratio", help="Leave out pairs of which one side is longer by more; 0 for none"
    ),
    format: str = Opt(
        "auto", "--format", "-f", help="Of labelled texts, if the ending does not tell"
    ),
    compare_with: Path | None = Opt(
        None,
        "--compare-with",
        help="Labelled texts that should not be there again, such as those of the training",
        exists=True,
    ),
    limit: int = Opt(0, "--limit", help="Take no more labelled texts; 0 for all"),
) -> None:
    """
    Convert sentence pairs, or labelled texts, to spaCy's format.

    `spacy train` with spacy.Corpus.v1, `spacy evaluate` and `spacy apply` read it. Examples:

    python -m spacy seqgen convert train.tsv corpus/train.spacy --lang en

    python -m spacy seqgen convert reviews.tsv corpus/train.spacy --lang en --task textcat
    """
    from ..labelled import create_text_classification_reader
    from ..outputs import install_extensions
    from ..parallel import create_parallel_reader

    if task not in ("translation", "textcat"):
        msg.fail(f'--task must be "translation" or "textcat", got {task!r}', exits=1)
    if output.suffix != ".spacy":
        msg.fail(f"The file to write must end in .spacy, got {output}", exits=1)
    if task == "textcat" and (target or max_length or max_ratio):
        msg.fail("--target, --max-length and --max-ratio are for sentence pairs", exits=1)
    install_extensions()
    found = DocBin(store_user_data=True)
    try:
        nlp = spacy.blank(lang)
        if task == "textcat":
            labelled = create_text_classification_reader(path, format, None, compare_with, limit)
            _show(labelled.count())
            examples = labelled(nlp)
        else:
            pairs = create_parallel_reader(path, target, max_length=max_length, max_ratio=max_ratio)
            examples = iter(pairs(nlp))
        for example in tqdm(examples, unit=" Docs", disable=None):
            found.add(example.reference)
        output.parent.mkdir(parents=True, exist_ok=True)
        found.to_disk(output)
    except (ValueError, ImportError, OSError) as error:
        msg.fail("Can't convert", str(error), exits=1)
    what = "texts" if task == "textcat" else "pairs"
    msg.good(f"Wrote {len(found)} {what} to {output}")


def _show(census: Census) -> None:
    """The balance of the classes. (What is wrong with the texts was shown as warnings.)"""
    rows = [(label, n, f"{n / census.texts:.1%}") for label, n in census.labels.items()]
    msg.table(rows, header=("label", "texts", "share"), divider=True)
