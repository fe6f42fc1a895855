"""Sequence-to-sequence models for the `translator`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from thinc.api import Model

from ..modules.attention import find_attention
from ..modules.recurrent_seq2seq import RecurrentSeq2Seq
from ..modules.seq2seq import Source
from ..vocabularies import BOS, EOS, PAD
from .language_model import no_backprop
from .precision import check_precision
from .shim import get_shim
from .teacher_forcing import TeacherForcing
from .torch_model import TorchSettings, make_torch_model, set_dropout


@dataclass
class PairBatch:
    """Sentences and their translations as ids, padded at the end.

    sources (np.ndarray): Shape (batch, time), int64, each with `</s>` behind it.
    lengths (np.ndarray): Shape (batch,), int64: symbols of each source.
    inputs, targets (np.ndarray): Shape (batch, time), int64: the translation behind
        `<s>`, and before `</s>`.
    """

    sources: np.ndarray
    lengths: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray

    def read(self, device: torch.device) -> Source:
        """What the encoder reads."""
        return torch.from_numpy(self.sources).to(device), torch.from_numpy(self.lengths)


def pad_sources(sources: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Source ids as one array, `</s>` behind each, and their lengths."""
    lengths = np.array([len(ids) + 1 for ids in sources], dtype=np.int64)
    padded = np.full((len(sources), int(lengths.max())), PAD, dtype=np.int64)
    for row, ids in enumerate(sources):
        padded[row, : len(ids)] = ids
        padded[row, len(ids)] = EOS
    return padded, lengths


def pad_pairs(sources: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> PairBatch:
    """A batch of sentence pairs."""
    return PairBatch(*pad_sources(sources), *pad_targets(targets))


def pad_targets(targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Target ids as one array, `<s>` before each; and the same, `</s>` behind each."""
    padded, _ = pad_sources(targets)
    inputs = np.full_like(padded, PAD)
    inputs[:, 0] = BOS
    inputs[:, 1:] = np.where(padded[:, :-1] == EOS, PAD, padded[:, :-1])
    return inputs, padded


def build_recurrent_seq2seq(
    embedding_size: int = 256,
    hidden_size: int = 256,
    num_layers: int = 1,
    cell: str = "gru",
    bidirectional: bool = True,
    attention: str | Callable = "additive",
    input_feeding: bool = False,
    tied: bool = True,
    tied_source: bool = False,
    update_vectors: bool = True,
    label_smoothing: float = 0.1,
    teacher_forcing: Any = 1.0,
    dropout: float | None = None,
    precision: str = "auto",
) -> Model:
    """An encoder-decoder of recurrent networks. Registered as
    `spacy-seqgen.RecurrentSeq2Seq.v1` (`@architectures`).

    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the recurrent layers.
    num_layers (int): Number of recurrent layers, in encoder and decoder.
    cell (str): "lstm" or "gru".
    bidirectional (bool): Read the source from both ends, each direction with half of
        `hidden_size`.
    attention (str | Callable): "additive" (Bahdanau et al. 2015), "dot" or "general" (Luong
        et al. 2015); "none": all the decoder knows of the source is the encoder's last state;
        or an `AttentionMaker` of your own.
    input_feeding (bool): Feed what attention found into the decoder's next step. Slower
        in training, which then goes step by step.
    tied (bool): Use the target embeddings as weights of the softmax.
    tied_source (bool): Use them as the source embeddings too: one table for both languages
        (Press and Wolf 2017, https://arxiv.org/abs/1608.05859), which must have one vocabulary
        (`shared_vocabulary` of the component's `initialize`).
    update_vectors (bool): Train embeddings that were given word vectors (`source_vectors`
        and `target_vectors` of the component's `initialize`); false keeps them as they are.
    label_smoothing (float): Share of the probability that training spreads over all
        symbols.
    teacher_forcing (float | Iterator[float]): Share of the symbols before the one to
        predict that are the true ones in training, or a schedule of it; the others are
        what the model predicts itself (scheduled sampling, Bengio et al. 2015,
        https://arxiv.org/abs/1506.03099; in two passes, Mihaylova and Martins 2019,
        https://arxiv.org/abs/1906.07651).
    dropout (float | None): Dropout on embeddings, between layers and before the softmax.
        None takes the rate from `[training] dropout`.
    precision (str): "fp32", "bf16", or "auto": bf16 where it is the faster.
    RETURNS (Model[PairBatch, Any]): In training: loss and negative log-likelihood of each
        row, in nats.
    """
    sizes = {
        "embedding_size": embedding_size, "hidden_size": hidden_size, "num_layers": num_layers,
    }  # fmt: skip
    check_sizes(sizes)
    if bidirectional and hidden_size % 2:
        raise ValueError(f"hidden_size must be even for a bidirectional encoder, got {hidden_size}")
    if cell not in ("lstm", "gru"):
        raise ValueError(f"cell must be 'lstm' or 'gru', got {cell!r}")
    find_attention(attention)
    if input_feeding and attention == "none":
        raise ValueError('input_feeding needs attention: there is nothing to feed with "none"')
    check_label_smoothing(label_smoothing)
    check_precision(precision)
    make = partial(
        RecurrentSeq2Seq,
        **sizes,
        cell=cell,
        bidirectional=bidirectional,
        attention=attention,
        input_feeding=input_feeding,
        tied=tied,
        tied_source=tied_source,
        label_smoothing=label_smoothing,
    )
    settings = TorchSettings(make, precision, dropout)
    attrs = {"update_vectors": update_vectors, "tied_source": tied_source}
    return make_seq2seq_model("recurrent_seq2seq", settings, teacher_forcing, **attrs)


def make_seq2seq_model(
    name: str, settings: TorchSettings, teacher_forcing: Any, **attrs: Any
) -> Model:
    """The Thinc model around an encoder-decoder."""
    return make_torch_model(
        name,
        forward,
        settings,
        dims=("nI", "nO"),
        teacher_forcing=TeacherForcing(teacher_forcing),
        **attrs,
    )


def check_sizes(sizes: dict[str, int]) -> None:
    """RAISES (ValueError): If a size is below 1."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")


def check_label_smoothing(share: float) -> None:
    """RAISES (ValueError): If it is no share."""
    if not 0 <= share < 1:
        raise ValueError(f"label_smoothing must be from 0 to below 1, got {share}")


def forward(
    model: Model, batch: Any, is_train: bool, guide: np.ndarray | None = None
) -> tuple[Any, Callable]:
    """Of sentence pairs, or of any batch with `inputs`, `targets` and `read`.

    guide (np.ndarray | None): See `Seq2Seq.forward`.
    """
    shim = get_shim(model)
    arrays = (batch.inputs, batch.targets)
    inputs, targets = (torch.from_numpy(item).to(shim.device) for item in arrays)
    source = batch.read(shim.device)
    if not is_train:
        with shim.inference() as net:
            return net.read(source, inputs, targets), no_backprop
    set_dropout(model, shim.net)
    share = model.attrs["teacher_forcing"].at(shim.native.updates)
    told = None if guide is None else torch.from_numpy(guide).to(shim.device)
    (losses, nll), torch_backprop = shim.train_step(source, inputs, targets, share, told)

    def backprop(d_losses: np.ndarray) -> Any:
        torch_backprop(torch.from_numpy(d_losses))
        return batch

    return (losses.detach().float().cpu().numpy(), nll.float().cpu().numpy()), backprop
