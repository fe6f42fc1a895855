"""Vocabularies: the two-way table between text and ids."""

from .base import (
    BOS,
    EOS,
    PAD,
    REPLACEMENT,
    SPECIALS,
    UNK,
    Encoded,
    Source,
    Vocabulary,
    check_vocabulary_data,
    check_vocabulary_settings,
)
from .characters import Characters, make_characters

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "REPLACEMENT",
    "SPECIALS",
    "UNK",
    "Characters",
    "Encoded",
    "Source",
    "Vocabulary",
    "check_vocabulary_data",
    "check_vocabulary_settings",
    "make_characters",
]
