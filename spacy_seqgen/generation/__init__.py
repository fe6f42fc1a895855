"""Search: how sequences are made from a model that predicts the next symbol.

Pure PyTorch and NumPy; knows neither spaCy nor any particular model. Everything that
generates here (language models, translators, captioners) goes through `Search`.
"""

from .options import GenerationOptions
from .results import Hypothesis
from .search import Search, Symbols, TransformMaker, reweight_distribution

__all__ = [
    "GenerationOptions",
    "Hypothesis",
    "Search",
    "Symbols",
    "TransformMaker",
    "reweight_distribution",
]
