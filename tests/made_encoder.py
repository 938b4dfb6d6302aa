"""A tiny pretrained encoder: the folder that Hugging Face's own classes write, random weights."""

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    *("a", "bolt", "carbon", "component", "condition", "fair", "fiber", "good", "in", "iron"),
    *("made", "manufactured", "new", "of", "plastic", "poor", "steel", ",", ".", "'"),
    *("##s", "##ed", "##ing", "m", "n"),
]


def make_encoder(folder, *, words=tuple(WORDS), width=16, positions=40, layers=2):
    """Write a BERT with a WordPiece tokenizer into `folder`."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    pieces = [*SPECIAL, *words]
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        intermediate_size=2 * width,
        max_position_embeddings=positions,
    )
    torch.manual_seed(0)
    model = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():  # The first weights of a BERT hardly tell texts apart.
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name and "bias" not in name:
                parameter.mul_(15)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(
        models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(Path(folder) / "tokenizer.json"))
    return Path(folder)


def add_modules(folder, *kinds, pooling=("mean_tokens",)):
    """Add what sentence-transformers writes beside an encoder."""
    modules = []
    for at, kind in enumerate(kinds):
        path = "" if kind == "Transformer" else f"{at}_{kind}"
        modules.append({"idx": at, "path": path, "type": f"sentence_transformers.models.{kind}"})
        if kind == "Pooling":
            (folder / path).mkdir()
            modes = {f"pooling_mode_{mode}": True for mode in pooling}
            (folder / path / "config.json").write_text(json.dumps(modes))
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@cache
def encoder_of_size(pieces, width):
    """A folder with so many pieces; made once."""
    words = [*WORDS, *(f"word{at}" for at in range(pieces))][: pieces - len(SPECIAL)]
    folder = mkdtemp(prefix="textgauge-encoder-")
    return make_encoder(folder, words=tuple(words), width=width)
