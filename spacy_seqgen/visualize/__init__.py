"""Attention to look at: as a table in a page or a notebook, and as a figure."""

from .attention import AttentionMap, get_attention_maps
from .captions import draw_caption, save_caption
from .figure import draw_figure, save_figure
from .html import render, serve

__all__ = [
    "AttentionMap",
    "draw_caption",
    "draw_figure",
    "get_attention_maps",
    "render",
    "save_caption",
    "save_figure",
    "serve",
]
