"""The components as spaCy makes them from a config. What a config leaves out of a block
is filled in from the function that the block names."""

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from thinc.api import Model

from ..attribution import CatsExplainer
from ..generation import GenerationOptions
from ..pictures import PictureSettings
from ..vocabularies import Vocabulary
from .captioner import ImageCaptioner
from .text_generator import TextGenerator
from .translator import Translator


@Language.factory(
    "text_generator",
    assigns=[
        "doc._.continuation",
        "doc._.continuations",
        "doc._.perplexity",
        "doc._.bits_per_char",
        "doc._.surprisal",
        "span._.surprisal",
        "token._.surprisal",
    ],
    default_config={
        "model": {"@architectures": "spacy-seqgen.RecurrentLM.v1"},
        "vocabulary": {"@misc": "spacy-seqgen.Characters.v1"},
        "generation": GenerationOptions().to_config(),
        "generate_text": True,
        "score_text": True,
        "batch_symbols": 32768,
        "transform": None,
        "scorer": {"@scorers": "spacy-seqgen.language_model_scorer.v1"},
    },
    default_score_weights={
        "char_probability": 1.0,
        "bits_per_char": None,
        "perplexity": None,
        "char_accuracy": None,
    },
)
def make_text_generator(
    nlp: Language,
    name: str,
    model: Model,
    vocabulary: Vocabulary,
    generation: dict[str, Any],
    generate_text: bool,
    score_text: bool,
    batch_symbols: int,
    transform: Callable | None,
    scorer: Callable | None,
) -> TextGenerator:
    """Make a text generator.

    model (Model[LanguageBatch, Any]): The language model.
    vocabulary (Vocabulary): What its symbols are.
    generation (dict): Options, see `GenerationOptions`.
    generate_text (bool): Whether to continue each Doc.
    score_text (bool): Whether to compute the surprisal of each Doc.
    batch_symbols (int): Most symbols computed at once, padding included.
    transform (Callable | None): Makes a transform of the logits: docs/howto/plug_in.md.
    scorer (Callable | None): How to evaluate.
    """
    return TextGenerator(
        nlp.vocab,
        model,
        name,
        vocabulary=vocabulary,
        options=GenerationOptions.from_config(generation),
        generate_text=generate_text,
        score_text=score_text,
        batch_symbols=batch_symbols,
        transform=transform,
        scorer=scorer,
    )


@Language.factory(
    "translator",
    assigns=["doc._.translation", "doc._.translations"],
    default_config={
        "model": {"@architectures": "spacy-seqgen.RecurrentSeq2Seq.v1"},
        "source_vocabulary": {"@misc": "spacy-seqgen.Subwords.v1"},
        "target_vocabulary": {"@misc": "spacy-seqgen.Subwords.v1"},
        "generation": GenerationOptions(
            beam_size=5, beam_threshold=1.5, max_length_ratio=3.0
        ).to_config(),
        "attention": False,
        "replace_unknown": False,
        "lexicon": {},
        "max_characters": 500,
        "batch_symbols": 16384,
        "greedy_evaluation": True,
        "transform": None,
        "scorer": {"@scorers": "spacy-seqgen.translation_scorer.v1"},
    },
    default_score_weights={
        "bleu": 1.0,
        "bleu_lowercase": None,
        "chrf": None,
        "exact_match": None,
        "translation_perplexity": None,
        "translation_accuracy": None,
        "bleu_signature": None,
        "bleu_lowercase_signature": None,
        "chrf_signature": None,
    },
)
def make_translator(
    nlp: Language,
    name: str,
    model: Model,
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
    generation: dict[str, Any],
    attention: bool,
    replace_unknown: bool,
    lexicon: dict[str, str],
    max_characters: int,
    batch_symbols: int,
    greedy_evaluation: bool,
    transform: Callable | None,
    scorer: Callable | None,
) -> Translator:
    """Make a translator.

    model (Model[PairBatch, Any]): The encoder-decoder.
    source_vocabulary, target_vocabulary (Vocabulary): What its symbols are.
    generation (dict): Options of the search, see `GenerationOptions`.
    attention (bool): Keep where the decoder looked, for each translation.
    replace_unknown (bool): Where the model writes `<unk>`, put the word of the source that
        it looked at most (Luong et al. 2015, https://arxiv.org/abs/1410.8206); otherwise
        it never writes it.
    lexicon (dict[str, str]): What to put there instead of some words.
    max_characters (int): Longest piece of text translated at once; 0 for no limit.
    batch_symbols (int): Most symbols of the source computed at once, padding included
        and each counted once for every hypothesis.
    greedy_evaluation (bool): Translate greedily between the updates of a training, whatever
        `generation` says; from `initialize` or `update` until the pipeline is loaded.
    transform (Callable | None): Makes a transform of the logits: docs/howto/plug_in.md.
    scorer (Callable | None): How to evaluate.
    """
    return Translator(
        nlp.vocab,
        model,
        name,
        source_vocabulary=source_vocabulary,
        target_vocabulary=target_vocabulary,
        options=GenerationOptions.from_config(generation),
        attention=attention,
        replace_unknown=replace_unknown,
        lexicon=lexicon,
        max_characters=max_characters,
        batch_symbols=batch_symbols,
        greedy_evaluation=greedy_evaluation,
        transform=transform,
        scorer=scorer,
    )


@Language.factory(
    "image_captioner",
    assigns=["doc._.caption", "doc._.captions"],
    default_config={
        "model": {
            "@architectures": "spacy-seqgen.AttentiveCaptioner.v1",
            "encoder": {"@misc": "spacy-seqgen.ConvEncoder.v1"},
        },
        "vocabulary": {"@misc": "spacy-seqgen.Words.v1"},
        "pictures": {"@misc": "spacy-seqgen.Pictures.v1"},
        "generation": GenerationOptions(beam_size=3, max_length=50).to_config(),
        "image_dir": "",
        "attention": False,
        "batch_pictures": 64,
        "captions_per_picture": 1,
        "feature_cache": 256,
        "greedy_evaluation": True,
        "transform": None,
        "scorer": {"@scorers": "spacy-seqgen.caption_scorer.v1"},
    },
    default_score_weights={
        "cider_d": None,
        "bleu_1": None,
        "bleu_2": None,
        "bleu_3": None,
        "bleu_4": 1.0,
        "caption_chrf": None,
        "rouge_l": None,
        "caption_exact_match": None,
        "caption_perplexity": None,
        "caption_accuracy": None,
    },
)
def make_image_captioner(
    nlp: Language,
    name: str,
    model: Model,
    vocabulary: Vocabulary,
    pictures: PictureSettings,
    generation: dict[str, Any],
    image_dir: str,
    attention: bool,
    batch_pictures: int,
    captions_per_picture: int,
    feature_cache: int,
    greedy_evaluation: bool,
    transform: Callable | None,
    scorer: Callable | None,
) -> ImageCaptioner:
    """Make a captioner of images.

    model (Model[CaptionBatch, Any]): The encoder of pictures, and the decoder.
    vocabulary (Vocabulary): What its symbols are.
    pictures (PictureSettings): How pictures are read.
    generation (dict): Options of the search, see `GenerationOptions`.
    image_dir (str): Where pictures are; those elsewhere are refused. Empty for any place.
    attention (bool): Keep where the decoder looked, for each caption.
    batch_pictures (int): Most pictures computed at once.
    captions_per_picture (int): Captions of each picture in an update: it is encoded once for
        all of them. Where it has fewer, some are repeated.
    feature_cache (int): Megabytes for what is kept from epoch to epoch where pictures are not
        varied: their pixels, or features where the encoder does not learn.
    greedy_evaluation (bool): Caption greedily between the updates of a training, whatever
        `generation` says; from `initialize` or `update` until the pipeline is loaded.
    transform (Callable | None): Makes a transform of the logits: docs/howto/plug_in.md.
    scorer (Callable | None): How to evaluate.
    """
    return ImageCaptioner(
        nlp.vocab,
        model,
        name,
        vocabulary=vocabulary,
        pictures=pictures,
        options=GenerationOptions.from_config(generation),
        image_dir=image_dir,
        attention=attention,
        batch_pictures=batch_pictures,
        captions_per_picture=captions_per_picture,
        feature_cache=feature_cache,
        greedy_evaluation=greedy_evaluation,
        transform=transform,
        scorer=scorer,
    )


@Language.factory(
    "cats_explainer",
    assigns=["doc._.cats_attribution"],
    requires=["doc.cats"],
    default_config={"component": "textcat", "method": "gradient", "threshold": 1.0},
)
def make_cats_explainer(
    nlp: Language, name: str, component: str, method: str, threshold: float
) -> CatsExplainer:
    """Make a component that says which tokens drove a classification.

    component (str): Name of the `textcat` or `textcat_multilabel`, which comes before it.
    method (str): "gradient" or "attention".
    threshold (float): Explain classes with at least this probability, and the most
        probable one.
    RAISES (ValueError): If there is no such component, or a value is out of range.
    """
    if component not in nlp.component_names:
        raise ValueError(
            f"The component '{name}' explains '{component}', which is not there: add that first"
        )
    return CatsExplainer(name, nlp.get_pipe(component), method=method, threshold=threshold)
