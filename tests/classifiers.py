"""A tiny pre-trained encoder, and pipelines with it."""

import json

import spacy
import torch
from spacy.training import Example
from thinc.api import fix_random_seed
from transformers import AutoModel, BertConfig, DistilBertConfig, RobertaConfig

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a the good bad very film plot ! is was not Ünicode".split()
TEXTS = [
    ("a good film", "pos"),
    ("the plot is bad", "neg"),
    ("very very good !", "pos"),
    ("bad film", "neg"),
    ("the film was good", "pos"),
    ("the very bad plot", "neg"),
]
KINDS = {"bert": BertConfig, "roberta": RobertaConfig, "distilbert": DistilBertConfig}


def make_folder(path, kind="bert", seed=0, layers=3):
    """Save an encoder with random weights, the same for each seed, and a tokenizer of words."""
    fix_random_seed(seed)
    sizes = {"vocab_size": len(WORDS), "pad_token_id": 0, "max_position_embeddings": 40}
    if kind == "distilbert":
        sizes |= {"dim": 16, "n_heads": 2, "n_layers": layers, "hidden_dim": 32}
    else:
        sizes |= {
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_hidden_layers": layers,
            "intermediate_size": 32,
        }
    model = AutoModel.from_config(KINDS[kind](**sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(path)
    save_tokenizer(path)
    return path


def save_tokenizer(path):
    specials = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    specials |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, **specials}
    (path / "tokenizer_config.json").write_text(json.dumps(config))


def make_classifier(
    folder, *, seed=0, steps=0, factory="textcat", encoder=None, texts=TEXTS, **model
):
    """A pipeline with a text classifier, initialized and trained."""
    nlp = spacy.blank("en")
    add_classifier(nlp, folder, factory=factory, encoder=encoder, **model)
    train(nlp, steps, texts=texts, seed=seed)
    return nlp


def add_classifier(nlp, folder, *, factory="textcat", encoder=None, **model):
    own = {"@misc": "spacy-seqgen.PretrainedEncoder.v1", "name": str(folder), **(encoder or {})}
    block = {
        "@architectures": "spacy-seqgen.TransformerTextCat.v1",
        "exclusive_classes": factory == "textcat",
        "encoder": own,
        **model,
    }
    return nlp.add_pipe(factory, config={"model": block})


def train(nlp, steps, *, texts=TEXTS, seed=0, drop=0.0, learn_rate=0.01):
    examples = make_labelled(nlp, texts)
    fix_random_seed(seed)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = learn_rate
    losses = {}
    for _ in range(steps):
        losses = nlp.update(examples, sgd=optimizer, drop=drop)
    return losses


def make_labelled(nlp, texts=TEXTS):
    names = sorted({label for _, label in texts})
    found = []
    for text, label in texts:
        doc = nlp.make_doc(text)
        doc.cats = {name: float(name == label) for name in names}
        found.append(Example(nlp.make_doc(text), doc))
    return found


def scores(nlp, texts, **options):
    return [list(doc.cats.values()) for doc in nlp.pipe(texts, **options)]
