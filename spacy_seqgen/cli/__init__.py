"""`spacy seqgen ...`: what spaCy's own commands lack."""

from spacy.cli._util import app as spacy_app

from .app import app
from .attention import attention_cli
from .caption import caption_cli
from .classification_report import classification_report_cli
from .convert import convert_cli
from .evaluate import evaluate_cli
from .generate import generate_cli
from .plot_training import plot_training_cli
from .quantize import quantize_cli
from .report import report_cli
from .score import score_cli
from .train import train_cli
from .translate import translate_cli

spacy_app.add_typer(app, name="seqgen")

__all__ = [
    "app",
    "attention_cli",
    "caption_cli",
    "classification_report_cli",
    "convert_cli",
    "evaluate_cli",
    "generate_cli",
    "plot_training_cli",
    "quantize_cli",
    "report_cli",
    "score_cli",
    "train_cli",
    "translate_cli",
]
