"""Sequence generation for spaCy pipelines. Importing it adds `doc._.continuation` and the
other attributes, so that results in a file can be read without a pipeline."""

from .outputs import install_extensions

__version__ = "0.1.0"

install_extensions()
