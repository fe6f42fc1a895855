"""`spacy seqgen ...`: what spaCy's own commands lack."""

import typer
from spacy.cli._util import app as spacy_app

HELP = """Sequence generation: train, generate, score and evaluate.

What these commands load was saved by `spacy train` or `spacy seqgen train`. Everything
else, such as `spacy evaluate`, `spacy apply` and `spacy package`, works as always.
"""

app = typer.Typer(name="seqgen", help=HELP, no_args_is_help=True)
spacy_app.add_typer(app, name="seqgen")

from .evaluate import evaluate_cli  # noqa: E402, F401
from .generate import generate_cli  # noqa: E402, F401
from .score import score_cli  # noqa: E402, F401
from .train import train_cli  # noqa: E402, F401
