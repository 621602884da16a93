"""BERT and T5Gemma: what holds of every encoder that reads one row, as the pipelines pad it."""

import sys

import pytest
import torch

from clipcond import Conditioner, load_embeddings
from clipcond.conditioning import Conditioning, EmbeddingCache, concat, lerp
from clipcond.errors import ClipcondError, PromptTooLongError, UnsupportedPipelineError
from clipcond.precompute import encode_prompts
from clipcond.weighting import Row
from tests.zoo import ZOO, gemma

pytestmark = pytest.mark.filterwarnings("ignore")  # deprecations inside of diffusers
PROMPTS = ["a photo of a red cat", "a dog", ""]
NAMES = {
    "bert": "HunyuanDiTPipeline",
    "t5gemma": "StableAudio3Pipeline",
    "t5gemma2": "MotifVideoPipeline",
}
SIDES = {"bert": ("right",), "t5gemma": ("left", "right"), "t5gemma2": ("left", "right")}
CASES = [(kind, side) for kind, sides in SIDES.items() for side in sides]


def build(kind, side="left"):
    pipe = ZOO[NAMES[kind]].build()
    pipe.tokenizer.padding_side = side
    return pipe


def stock(pipe, text):
    """(states, mask, places in the text) of what the pipelines give their encoder."""
    length = 77 if type(pipe).__name__.startswith("Hunyuan") else 48
    found = pipe.tokenizer(
        text,
        padding="max_length",
        max_length=length,
        truncation=True,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        states = pipe.text_encoder(found.input_ids, attention_mask=found.attention_mask)[0]
    return states[0], found.attention_mask[0], found.offset_mapping[0].tolist()


def conditioner(pipe, **options):
    made = Conditioner.from_pipeline(pipe, **options)
    length = {"max_sequence_length": 48} if made.family.t5_length else {}
    return lambda prompt, **more: made(prompt, **length, **more)


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_weights_of_one_change_nothing(kind, side):
    pipe = build(kind, side)
    for text in PROMPTS:
        ours = conditioner(pipe)(f"({text}:1.0)" if text else text)
        states, mask, _ = stock(pipe, text)
        torch.testing.assert_close(ours.prompt_embeds[0], states, rtol=0, atol=1e-6)
        assert torch.equal(ours.prompt_attention_mask[0].long(), mask)


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_comfys_formula_by_hand(kind, side):
    pipe = build(kind, side)
    z, mask, places = stock(pipe, "a red cat")
    e, _, _ = stock(pipe, "")
    weighted = [
        start < end and start < 5 and end > 2 and m
        for (start, end), m in zip(places, mask, strict=True)
    ]
    assert 1 <= sum(map(bool, weighted)) <= 4
    w = torch.where(torch.tensor(weighted, dtype=torch.bool), 1.5, 1.0)[:, None]
    ours = conditioner(pipe, weighting="comfy")("a (red:1.5) cat").prompt_embeds[0]
    torch.testing.assert_close(ours, e + w * (z - e), rtol=0, atol=1e-5)
    assert (ours - z)[torch.tensor(weighted, dtype=torch.bool)].abs().max() > 1e-2


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_each_prompt_of_a_batch_is_what_it_is_alone(kind, side):
    condition = conditioner(build(kind, side))
    prompts = ["a (red:1.3) cat", "a dog", ""]
    if kind != "bert":
        prompts.append("a red cat and a blue dog on a green house " * 2)  # longer than a row
    together = condition(prompts)
    for number, text in enumerate(prompts):
        alone = condition(text)
        length = alone.prompt_embeds.shape[1]
        states, mask = together.prompt_embeds[number], together.prompt_attention_mask[number]
        torch.testing.assert_close(states[:length], alone.prompt_embeds[0], rtol=0, atol=1e-5)
        assert torch.equal(mask[:length], alone.prompt_attention_mask[0])
        assert not mask[length:].any()


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_attention_is_weighted_within_the_windows_that_layers_see(kind, side):
    """A weight of 0 is a masked token; weights of 1, given as biases, are none."""
    pipe = build(kind, side)
    made = Conditioner.from_pipeline(pipe)
    path = made.paths[0]
    found = pipe.tokenizer("a red cat and a dog", padding="max_length", max_length=40)
    ids, mask = tuple(found["input_ids"]), found["attention_mask"]
    cat = 4 + mask.index(1)
    frame = path.tokenizer.frame
    encode = lambda *rows: path.encoder.encode(rows, eos=frame.eos, pad=frame.pad).states  # noqa: E731
    ones = tuple(float(m) for m in mask)
    masked = tuple(0.0 if i == cat else one for i, one in enumerate(ones))
    content = torch.tensor(mask, dtype=torch.bool)
    close = dict(rtol=0, atol=1e-5)
    torch.testing.assert_close(
        encode(Row(ids, ones))[0, content], encode(Row(ids))[0, content], **close
    )
    with torch.no_grad():
        theirs = pipe.text_encoder(
            torch.tensor([ids]), attention_mask=torch.tensor([masked]).long()
        )[0]
    content[cat] = False
    torch.testing.assert_close(encode(Row(ids, masked))[0, content], theirs[0, content], **close)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("mode", ["compel", "comfy++", "down_weight", "attention_bias"])
def test_every_mode_acts(kind, mode):
    pipe = build(kind)
    plain = conditioner(pipe)("a red cat").prompt_embeds
    for weight in (0.5, 1.5):
        ours = conditioner(pipe, weighting=mode)(f"a (red:{weight}) cat").prompt_embeds
        assert torch.isfinite(ours).all()
        assert (mode == "down_weight" and weight > 1) or not torch.allclose(ours, plain, atol=1e-4)


def test_special_tokens_that_are_typed_stay_text():
    made = Conditioner.from_pipeline(build("t5gemma"))
    tokens = made.report("<pad> cat <eos> <bos>").prompts[0].tokens
    assert not {token.id for token in tokens} & {0, 1, 2}
    bert = Conditioner.from_pipeline(build("bert"))
    ids = {t.id for t in bert.report("[CLS] cat [SEP]").encoders["text_encoder"].prompts[0].tokens}
    assert not ids & {2, 3}


def test_a_tokenizer_that_does_not_say_how_long_rows_are_is_an_error():
    pipe = ZOO["PRXPipeline"].build()
    pipe.tokenizer = gemma.gemma_tokenizer(10**30)
    with pytest.raises(ClipcondError, match="set its model_max_length"):
        Conditioner.from_pipeline(pipe)


# --- two sequences ---------------------------------------------------------------------------------------------------

DIT = ZOO["HunyuanDiTPipeline"].build()


def test_both_sequences_go_through_files_caches_and_between_two(tmp_path):
    condition = Conditioner.from_pipeline(DIT, cache=EmbeddingCache())
    a = condition("a (red:1.3) cat", negative_prompt="bad")
    b = condition("a dog", negative_prompt="bad")
    assert torch.equal(condition("a dog", negative_prompt="bad").prompt_embeds_2, b.prompt_embeds_2)
    a.save(tmp_path / "a.safetensors")
    loaded = Conditioning.load(tmp_path / "a.safetensors")
    kwargs, again = a.kwargs_for(DIT), loaded.kwargs_for(DIT)
    assert set(kwargs) == set(again)
    assert {name: t.shape[1] for name, t in kwargs.items() if "mask" in name} == {
        "prompt_attention_mask": 77,
        "negative_prompt_attention_mask": 77,
        "prompt_attention_mask_2": 256,
        "negative_prompt_attention_mask_2": 256,
    }
    assert all(torch.equal(kwargs[name], again[name]) for name in kwargs)
    half = lerp(a, b, 0.5)
    torch.testing.assert_close(half.prompt_embeds_2, (a.prompt_embeds_2 + b.prompt_embeds_2) / 2)
    both = torch.maximum(a.prompt_attention_mask_2, b.prompt_attention_mask_2)
    assert torch.equal(half.prompt_attention_mask_2, both)
    with pytest.raises(ClipcondError, match="takes 77 tokens and no more"):
        concat(a, b)


def test_both_sequences_are_stored_for_training(tmp_path):
    (tmp_path / "prompts.txt").write_text("a cat\na (red:1.3) dog\n")
    condition = Conditioner.from_pipeline(DIT)
    encode_prompts(condition, tmp_path / "prompts.txt", tmp_path / "out", dtype=torch.float32)
    for item in load_embeddings(tmp_path / "out"):
        alone = condition(item["prompt"])
        for name in ("prompt_embeds", "prompt_embeds_2"):
            torch.testing.assert_close(item[name], getattr(alone, name)[0], rtol=0, atol=1e-5)
        assert torch.equal(item["prompt_attention_mask_2"], alone.prompt_attention_mask_2[0])


@pytest.mark.pitfall(34)
def test_what_is_too_long_for_it_is_an_error():
    with pytest.raises(PromptTooLongError, match="75 tokens that fit"):
        Conditioner.from_pipeline(DIT)("a cat " * 60)


def test_other_weights_in_either_encoder_are_refused():
    other = ZOO["HunyuanDiTPipeline"].build()
    torch.nn.init.normal_(other.text_encoder_2.shared.weight)
    with pytest.raises(UnsupportedPipelineError, match="another text_encoder_2"):
        Conditioner.from_pipeline(DIT)("a cat").kwargs_for(other)


# --- texts that pipelines clean --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "A Photo of a Cat",
        " a cat & a dog (big) ",
        "a cat,a dog",
        "a [cat] http://a.com/b x",
        "&amp;",
    ],
)
def test_a_text_is_cleaned_as_the_pipeline_cleans_it(text):
    pytest.importorskip("ftfy")
    pipe = ZOO["PRXPipeline"].build()
    states, mask, *_ = pipe.encode_prompt(text, "cpu", do_classifier_free_guidance=False)
    ours = Conditioner.from_pipeline(pipe, dialect="plain")(text)
    torch.testing.assert_close(ours.prompt_embeds, states, rtol=0, atol=1e-6)
    assert torch.equal(ours.prompt_attention_mask, mask)


def test_weights_stay_on_their_words_where_a_text_is_cleaned():
    pytest.importorskip("ftfy")
    conditioner = Conditioner.from_pipeline(ZOO["PRXPipeline"].build(), dialect="comfy")
    report = conditioner.report(" # A cat,(RED & big:1.5) dog")
    words = report.prompts[0].tokens
    assert "".join(token.text for token in words) == "a cat, red big dog"
    weighted = "".join(token.text for token in words if token.weight != 1)
    assert weighted.strip() == "red big"


def test_cleaning_without_its_package_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(ClipcondError, match="pip install ftfy"):
        Conditioner.from_pipeline(ZOO["PRXPipeline"].build())("a cat")


def test_a_class_that_needs_a_package_says_so(monkeypatch):
    import diffusers

    from clipcond.families.finding import family_of_index

    missing = type("ConsisIDPipeline", (), {"_backends": ["torch", "opencv"]})
    monkeypatch.setattr(diffusers, "ConsisIDPipeline", missing)
    index = {
        "_class_name": "ConsisIDPipeline",
        "text_encoder": ["transformers", "T5EncoderModel"],
        "transformer": ["diffusers", "ConsisIDTransformer3DModel"],
    }
    with pytest.raises(UnsupportedPipelineError, match="misses one of torch, opencv"):
        family_of_index(index)
