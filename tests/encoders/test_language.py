"""A language model as a text encoder: what transformers itself gives, weighted as the modes say."""

from functools import cache

import pytest
import torch
from tokenizers import AddedToken
from transformers import LlamaForCausalLM

from clipcond.encoders import LanguageEncoder
from clipcond.errors import ClipcondError
from clipcond.families.templates import (
    HIDREAM,
    HUNYUAN_VIDEO,
    HUNYUAN_VIDEO_15,
    KANDINSKY_IMAGE,
)
from clipcond.tokens import Line, TemplateTokenizer
from clipcond.weighting import Row, mode_named
from tests.zoo.language_models import llama, llama_tokenizer, qwen, qwen_text, qwen_tokenizer

MODES = [
    "comfy",
    "a1111_no_norm",
    "compel",
    "comfy++",
    "advanced_compel",
    "attention_bias",
    "none",
]
MODELS = {
    "llama": (lambda: llama(16), llama_tokenizer, HUNYUAN_VIDEO, -3),
    "llama with a head": (lambda: llama(16, LlamaForCausalLM), llama_tokenizer, HIDREAM, None),
    "qwen": (lambda: qwen(32), qwen_tokenizer, KANDINSKY_IMAGE, -1),
    "qwen without eyes": (lambda: qwen_text(32), qwen_tokenizer, HUNYUAN_VIDEO_15, -3),
}


@cache
def path(name, *, padded=True, length=20):
    module, tokenizer, template, layer = MODELS[name]
    torch.manual_seed(0)
    found = TemplateTokenizer(tokenizer(), length, template, filled="length" if padded else "own")
    return found, LanguageEncoder(module=module().eval(), layer=layer)


def chunk_of(tokenizer, *pieces):
    """The row of some (text, weight)."""
    ends = [sum(len(text) for text, _ in pieces[: i + 1]) for i in range(len(pieces))]
    line = Line(
        "".join(text for text, _ in pieces),
        tuple((end, weight) for end, (_, weight) in zip(ends, pieces, strict=True)),
    )
    return tokenizer.frame.fill(tokenizer([line])[0])


def states_of(encoder, rows, tokenizer):
    frame = tokenizer.frame
    whole = [row._replace(before=frame.before) for row in rows]
    return encoder.encode(whole, eos=frame.eos, pad=frame.pad).states


def weighted_states(name, mode, *pieces):
    tokenizer, encoder = path(name)
    chunk = chunk_of(tokenizer, *pieces)
    (mixture,) = mode_named(mode).mixtures([chunk], tokenizer.frame.empty.ids, tokenizer.mask)
    states = states_of(encoder, mixture.rows, tokenizer)
    mixed = torch.tensor(mixture.coefficients)[..., None] * states
    return chunk, mixed.sum(0)


@pytest.mark.parametrize("name", MODELS)
def test_its_states_are_those_of_the_model_on_the_framed_prompt(name):
    tokenizer, encoder = path(name)
    own, template = tokenizer.tokenizer, MODELS[name][2]
    if template.eos_pads:
        own.pad_token = own.eos_token  # as the pipeline does
    if template.chat:
        messages = [
            {"role": "system", "content": template.text},
            {"role": "user", "content": "a red cat"},
        ]
        text = own.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    else:
        text = template.text.format("a red cat")
    given = own(text, padding="max_length", max_length=20 + template.crop, return_tensors="pt")
    with torch.no_grad():
        found = encoder.module(**given, output_hidden_states=True).hidden_states
    theirs = torch.cat(found[1:], -1) if encoder.layer is None else found[encoder.layer]
    row = Row(chunk_of(tokenizer, ("a red cat", 1.0)).ids)
    assert torch.equal(states_of(encoder, [row], tokenizer), theirs[:, template.crop :])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", MODES)
def test_weights_of_one_change_nothing_and_others_nothing_before_them(name, mode):
    chunk, plain = weighted_states(name, mode, ("a cat", 1.0), (" red", 1.0), (" hat", 1.0))
    _, weighted = weighted_states(name, mode, ("a cat", 1.0), (" red", 1.5), (" hat", 1.0))
    tokenizer, encoder = path(name)
    (alone,) = states_of(encoder, [Row(chunk.ids)], tokenizer)
    assert torch.equal(plain, alone)
    first = chunk.fragments.index(2)
    assert torch.allclose(weighted[:first], plain[:first], atol=1e-6)
    assert torch.equal(weighted, plain) == (mode == "none")


@pytest.mark.parametrize("name", MODELS)
def test_comfys_formula_acts_on_the_weighted_words_alone(name):
    chunk, weighted = weighted_states(name, "comfy", ("a cat", 1.0), (" red", 1.5), (" hat", 0.5))
    tokenizer, encoder = path(name)
    empty = tokenizer.frame.empty.ids
    z, e = states_of(encoder, [Row(chunk.ids), Row(empty)], tokenizer)
    weights = torch.tensor(chunk.weights)[:, None]
    assert torch.allclose(weighted, e + weights * (z - e), atol=1e-6)
    outside = [i for i, fragment in enumerate(chunk.fragments) if fragment in (0, 1)]
    assert torch.equal(weighted[outside], z[outside])


@pytest.mark.parametrize("name", MODELS)
def test_an_attention_of_zero_hides_a_word_from_what_follows(name):
    tokenizer, encoder = path(name)
    chunks = [
        chunk_of(tokenizer, ("a", 1.0), (word, 1.0), (" hat", 1.0)) for word in (" color", " shape")
    ]
    hidden = [Row(c.ids, tuple(float(f != 2) for f in c.fragments)) for c in chunks]
    one, other = states_of(encoder, hidden, tokenizer)
    after = chunks[0].fragments.index(3)
    assert torch.allclose(one[after:], other[after:], atol=1e-6)
    one, other = states_of(encoder, [Row(c.ids) for c in chunks], tokenizer)
    assert not torch.allclose(one[after:], other[after:], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_several_lengths_are_what_they_are_alone(name):
    tokenizer, encoder = path(name, padded=False)
    rows = [
        Row(chunk_of(tokenizer, (text, 1.0)).ids)
        for text in ("a", "a red cat", "a blue dog and a hat")
    ]
    together = states_of(encoder, rows, tokenizer)
    for row, states in zip(rows, together, strict=True):
        (alone,) = states_of(encoder, [row], tokenizer)
        assert torch.allclose(states[: len(row.ids)], alone, atol=1e-6)


def test_blanks_before_a_word_do_not_dilute_its_weight():
    tokenizer, _ = path("qwen")
    tokens = tokenizer([Line("a shape", ((2, 1.0), (7, 1.5)))])[0]
    assert [(t.text, t.weight) for t in tokens] == [("a", 1.0), ("shape", 1.5)]


def test_what_cannot_be_framed_is_refused():
    left, joining, other = (llama_tokenizer() for _ in range(3))
    left.padding_side = "left"
    with pytest.raises(ClipcondError, match='padding_side = "right"'):
        TemplateTokenizer(left, 20, HUNYUAN_VIDEO, side="left")
    joining.add_tokens([AddedToken("cat<|eot_id|>", normalized=False)])
    tokenizer = TemplateTokenizer(joining, 20, HUNYUAN_VIDEO)
    with pytest.raises(ClipcondError, match=r"prompt '\\na cat' ends with"):
        tokenizer([Line("\na cat", ((6, 1.0),))])
    other.add_tokens([HUNYUAN_VIDEO.text[60:300]])
    with pytest.raises(ClipcondError, match="of which 95 are to be dropped"):
        TemplateTokenizer(other, 20, HUNYUAN_VIDEO)
