"""An encoder-decoder of recurrent networks, with or without attention."""

from torch import Tensor, nn

from .attention import AttentionMaker
from .recurrent_decoder import DecoderState, RecurrentDecoder
from .recurrent_encoder import Bridge, RecurrentEncoder
from .recurrent_writer import RecurrentWriter
from .seq2seq import make_embedding, make_target_embedding


class RecurrentSeq2Seq(RecurrentWriter):
    """
    source_size, target_size (int): Numbers of symbols.
    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the recurrent layers. A bidirectional encoder has half of
        it in each direction.
    num_layers (int): Number of recurrent layers, in encoder and decoder.
    cell (str): "lstm" or "gru".
    bidirectional (bool): Read the source from both ends.
    attention (str | AttentionMaker): "additive", "dot", "general" or "none", or what makes one.
    input_feeding (bool): Feed the attentional state into the decoder's next step.
    tied (bool): Use the target embeddings as weights of the softmax.
    tied_source (bool): Use them as the source embeddings too.
    label_smoothing (float), pad (int): As for every `Seq2Seq`.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = True,
        attention: str | AttentionMaker = "additive",
        input_feeding: bool = False,
        tied: bool = True,
        tied_source: bool = False,
        label_smoothing: float = 0.1,
        pad: int = 0,
    ):
        super().__init__(label_smoothing, pad)
        self.has_attention = attention != "none"
        self.encoder = RecurrentEncoder(
            make_embedding(source_size, embedding_size, pad),
            hidden_size=hidden_size,
            num_layers=num_layers,
            cell=cell,
            bidirectional=bidirectional,
        )
        self.bridge = Bridge(hidden_size, num_layers, 2 if cell == "lstm" else 1)
        self.decoder = RecurrentDecoder(
            make_target_embedding(self.encoder.embedding, target_size, shared=tied_source),
            symbols=target_size,
            memory_size=hidden_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            cell=cell,
            attention=attention,
            input_feeding=input_feeding,
            tied=tied,
        )

    @property
    def embeddings(self) -> dict[str, nn.Embedding]:
        return {"source": self.encoder.embedding, "target": self.decoder.embedding}

    def start(  # type: ignore[override]
        self, source: Tensor, lengths: Tensor
    ) -> DecoderState:
        states, last = self.encoder(source, lengths)
        return self.decoder.start(self.bridge(last), states, source != self.pad)
