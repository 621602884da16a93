"""Tiny random models of the kinds beside CLIP, and tokenizers of every type, written as transformers writes them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    XLMRobertaTokenizer,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz가나다라고양이강아지고래 .,!'\""


def unigram(first=("<pad>", "</s>", "<unk>"), *, lower=True, padding_side="right"):
    """A sentencepiece-like tokenizer whose end token has a low id."""
    pieces = [(token, 0.0) for token in first] + [("▁", -2.0)]
    pieces += [
        (letter, -3.0 - i / 100) for i, letter in enumerate(dict.fromkeys(LETTERS.replace(" ", "")))
    ]
    pieces += [("▁a", -2.5), ("▁cat", -2.6), ("고양이", -2.7)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=first.index("<unk>")))
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    end = first.index("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", end)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>" if "<pad>" in first else "</s>",
        padding_side=padding_side,
    )


def wordpiece():
    """BERT's kind: no end-of-text token by that name, but [SEP]."""
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog", *dict.fromkeys(LETTERS)]
    vocab += [f"##{letter}" for letter in dict.fromkeys(LETTERS)]
    tokenizer = Tokenizer(
        models.WordPiece(
            {token: i for i, token in enumerate(dict.fromkeys(vocab))}, unk_token="[UNK]"
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        pad_token="[PAD]",
    )


def byte_bpe(*, ends=True):
    """GPT-2's kind: bytes, and no mark at the end of a word."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*letters, "ca", "cat", "<|end|>", "<extra>"])}
    tokenizer = Tokenizer(models.BPE(vocab, [("c", "a"), ("ca", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|end|>", special_tokens=[("<|end|>", vocab["<|end|>"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>"
    )


def xlm_roberta():
    """MetaCLIP 2's kind: <s> before, </s> with id 2 after."""
    letters = [(letter, -3.0) for letter in dict.fromkeys(LETTERS.replace(" ", ""))]
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *letters]
    return XLMRobertaTokenizer(vocab=[*pieces, ("▁cat", -2.5)])


def _config(config_class, size, context, **text):
    tower = {
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
    }
    return config_class(
        text_config={**tower, "vocab_size": size, "max_position_embeddings": context, **text},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
    )


def save_siglip(folder, tokenizer, seed=0):
    """(folder, model): pictures of 32 x 32, texts of 64 tokens."""
    torch.manual_seed(seed)
    model = SiglipModel(_config(SiglipConfig, len(tokenizer), 64)).eval()
    model.logit_scale.data.fill_(2.0)
    model.logit_bias.data.fill_(-1.5)
    return _saved(
        folder, model, tokenizer, SiglipImageProcessorPil(size={"height": 32, "width": 32})
    )


def save_contrastive(folder, tokenizer, end, model_class=CLIPModel, seed=0):
    """(folder, model) of a CLIPModel or a MetaClip2Model whose configuration says that end token."""
    torch.manual_seed(seed)
    config_class = {CLIPModel: CLIPConfig, MetaClip2Model: MetaClip2Config}[model_class]
    config = _config(config_class, len(tokenizer), 77, eos_token_id=end)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return _saved(folder, model_class(config).eval(), tokenizer, processor)


def _saved(folder, *parts):
    for part in parts:
        part.save_pretrained(folder)
    return Path(folder), parts[0]
