"""Transformer models for the `translator`."""

from functools import partial
from typing import Any

from thinc.api import Model

from ..modules.positions import POSITIONS
from ..modules.transformer_seq2seq import TransformerSeq2Seq
from .precision import check_precision
from .torch_model import TorchSettings
from .translation import check_label_smoothing, check_sizes, make_seq2seq_model


def build_transformer_seq2seq(
    width: int = 128,
    num_layers: int = 4,
    num_heads: int = 4,
    inner_size: int = 512,
    positions: str = "sinusoidal",
    tied: bool = True,
    tied_source: bool = False,
    update_vectors: bool = True,
    label_smoothing: float = 0.1,
    teacher_forcing: Any = 1.0,
    dropout: float | None = None,
    precision: str = "auto",
) -> Model:
    """An encoder-decoder of transformer layers, with the norm before each sub-layer
    (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745). Registered as `spacy-seqgen.TransformerSeq2Seq.v1`
    (`@architectures`).

    width (int): Width of embeddings and states.
    num_layers (int): Layers of the encoder, and of the decoder.
    num_heads (int): Heads of each attention.
    inner_size (int): Width inside the feed-forward parts.
    positions (str): "sinusoidal": waves, added to embeddings; "learned": a vector for each of
        the first 512, added, the last of which serves all behind it; or "rotary": nothing is
        added, but how far apart two symbols are is known to self-attention (Su et al. 2021,
        https://arxiv.org/abs/2104.09864), whose heads need an even width. No weights are of
        "sinusoidal" or "rotary", so those of one load into the other and make no sense there.
    tied (bool): Use the target embeddings as weights of the softmax.
    tied_source (bool): Use them as the source embeddings too: one table for both languages
        (Press and Wolf 2017, https://arxiv.org/abs/1608.05859), which must have one vocabulary
        (`shared_vocabulary` of the component's `initialize`).
    update_vectors (bool): Train embeddings that were given word vectors (`source_vectors`
        and `target_vectors` of the component's `initialize`); false keeps them as they are.
    label_smoothing (float): Share of the probability that training spreads over all
        symbols.
    teacher_forcing (float | Iterator[float]): As for `RecurrentSeq2Seq.v1`.
    dropout (float | None): Dropout on embeddings and after each sub-layer, as in
        section 5.4 of the paper. None takes the rate from `[training] dropout`.
    precision (str): "fp32", "bf16", or "auto": bf16 where it is the faster.
    RETURNS (Model[PairBatch, Any]): In training: loss and negative log-likelihood of each
        row, in nats.
    """
    sizes = {
        "width": width, "num_layers": num_layers, "num_heads": num_heads, "inner_size": inner_size,
    }  # fmt: skip
    check_sizes(sizes)
    if width % num_heads or width % 2:
        raise ValueError(f"width must be even and a multiple of num_heads, got {width}")
    if positions not in POSITIONS:
        raise ValueError(f"positions must be one of {sorted(POSITIONS)}, got {positions!r}")
    if positions == "rotary" and width // num_heads % 2:
        raise ValueError(
            f'positions = "rotary" needs heads of an even width, got {width} / {num_heads} = '
            f"{width // num_heads}"
        )
    check_label_smoothing(label_smoothing)
    check_precision(precision)
    make = partial(
        TransformerSeq2Seq,
        **sizes,
        positions=positions,
        tied=tied,
        tied_source=tied_source,
        label_smoothing=label_smoothing,
    )
    settings = TorchSettings(make, precision, dropout)
    attrs = {
        "update_vectors": update_vectors, "tied_source": tied_source, "num_heads": num_heads,
        "positions": positions,
    }  # fmt: skip
    return make_seq2seq_model("transformer_seq2seq", settings, teacher_forcing, **attrs)
