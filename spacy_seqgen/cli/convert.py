"""`spacy seqgen convert`"""

from pathlib import Path

import spacy
from spacy.cli._util import Arg, Opt
from spacy.tokens import DocBin
from tqdm import tqdm
from wasabi import msg

from .app import app


@app.command("convert")
def convert_cli(
    path: Path = Arg(
        ..., help="Pairs: source TAB translation, or JSONL; or the sources", exists=True
    ),
    output: Path = Arg(..., help="File to write, .spacy", dir_okay=False),
    target: Path | None = Opt(
        None, "--target", "-t", help="The translations, one on each line", exists=True
    ),
    lang: str = Opt("xx", "--lang", "-l", help="Language of the sources, for the tokenizer"),
    max_length: int = Opt(0, "--max-length", help="Leave out pairs with a longer side; 0 for none"),
    max_ratio: float = Opt(
        0.0, "--max-ratio", help="Leave out pairs of which one side is longer by more; 0 for none"
    ),
) -> None:
    """
    Convert sentence pairs to spaCy's format.

    `spacy train` with spacy.Corpus.v1, `spacy evaluate` and `spacy apply` read it. Example:

    python -m spacy seqgen convert train.tsv corpus/train.spacy --lang en
    """
    from ..outputs import install_extensions
    from ..parallel import create_parallel_reader

    if output.suffix != ".spacy":
        msg.fail(f"The file to write must end in .spacy, got {output}", exits=1)
    install_extensions()
    found = DocBin(store_user_data=True)
    try:
        nlp = spacy.blank(lang)
        reader = create_parallel_reader(path, target, max_length=max_length, max_ratio=max_ratio)
        for example in tqdm(reader(nlp), unit=" pairs", disable=None):
            found.add(example.reference)
        output.parent.mkdir(parents=True, exist_ok=True)
        found.to_disk(output)
    except (ValueError, ImportError, OSError) as error:
        msg.fail("Can't convert", str(error), exits=1)
    msg.good(f"Wrote {len(found)} pairs to {output}")
