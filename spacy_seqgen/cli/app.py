"""The group of commands, to which each module of this folder adds one."""

import typer

HELP = """Sequence generation: train, generate, translate, caption pictures, look at attention, score,
evaluate, convert and draw what came of it.

What these commands load was saved by `spacy train` or `spacy seqgen train`. Everything
else, such as `spacy evaluate`, `spacy apply` and `spacy package`, works as always.
"""

app = typer.Typer(name="seqgen", help=HELP, no_args_is_help=True)
