"""Conditioning for families whose prompt a language model reads."""

import json
from functools import cache

import pytest
import torch

from clipcond import Conditioner, Conditioning, EmbeddingCache, concat, lerp
from clipcond.conditioning.value import TENSORS
from clipcond.errors import ClipcondError, PromptTooLongError, UnsupportedPipelineError
from tests.zoo import ZOO
from tests.zoo.language_models import llama_tokenizer

NAMES = [
    "HunyuanVideoPipeline",
    "Kandinsky5T2IPipeline",
    "Kandinsky5T2VPipeline",
    "Kandinsky6TI2VAPipeline",
    "HiDreamImagePipeline",
    "HunyuanVideo15Pipeline",
    "HunyuanImagePipeline",
    "QwenImagePipeline",
]
TRIMMED = {name for name in NAMES if "Kandinsky" in name}
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


@cache
def pipe_of(name):
    return ZOO[name].build()


@cache
def conditioner_of(name):
    return Conditioner.from_pipeline(pipe_of(name))


def tensors(conditioning):
    found = {name: getattr(conditioning, name) for name in TENSORS}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def same(name, one, other):
    """Bit for bit, but for what CLIP projects: a product's last bits depend on where and with what it is computed."""
    return torch.allclose(one, other, atol=1e-6) if "pooled" in name else torch.equal(one, other)


def assert_same(ours, theirs):
    assert tensors(ours).keys() == tensors(theirs).keys()
    assert all(same(name, t, tensors(theirs)[name]) for name, t in tensors(ours).items())


@pytest.mark.parametrize("name", NAMES)
def test_prompts_of_several_lengths_are_each_what_they_are_alone(name):
    prompts = ["a cat", 'a big dog with a "hat" on', ""]
    together = conditioner_of(name)(prompts)
    for i, prompt in enumerate(prompts):
        alone = conditioner_of(name)(prompt)
        for key, tensor in tensors(alone).items():
            if not key.startswith("negative"):
                found = tensors(together)[key][i][: len(tensor[0])]
                assert same(key, found, tensor[0]), key


@pytest.mark.parametrize("name", sorted(TRIMMED))
def test_a_denoiser_without_a_mask_is_given_no_padding(name):
    pipe, conditioner = pipe_of(name), conditioner_of(name)
    with pytest.raises(ClipcondError, match="one by one"):
        conditioner(["a cat", "a big dog"]).kwargs_for(pipe)
    kwargs = conditioner(["a shape", "a color"]).kwargs_for(pipe, num_images_per_prompt=2)
    lengths = kwargs.get("prompt_cu_seqlens")
    if lengths is not None:
        length = conditioner("a shape").prompt_embeds.shape[1]
        assert lengths.tolist() == [0, length, 2 * length, 3 * length, 4 * length]


@pytest.mark.parametrize("name", ["Kandinsky5T2VPipeline", "Kandinsky6TI2VAPipeline"])
def test_without_a_negative_prompt_it_is_the_pipelines_own(name):
    pipe, ours = pipe_of(name), conditioner_of(name)("a cat")
    text = ours.report.negative_prompts[0].text
    assert text.startswith("Static, 2D cartoon")
    with torch.no_grad():
        if name.startswith("Kandinsky5"):
            theirs = pipe.encode_prompt([text])[0]
        else:
            theirs = pipe.encode_prompt("a cat")[3]
    length = ours.negative_prompt_embeds.shape[1]
    assert torch.allclose(ours.negative_prompt_embeds, theirs[:, :length], atol=1e-6)
    emptied = conditioner_of(name)("a cat", negative_prompt="").report.negative_prompts[0].text
    assert emptied == (text if name.startswith("Kandinsky6") else "")  # `or` against `is None`


@pytest.mark.parametrize("name", ["HunyuanVideo15Pipeline", "HunyuanImagePipeline"])
def test_what_is_in_quotes_is_spelt_and_never_weighted(name):
    prompts = ['a “hat” and a "(cat:1.5)" sign', 'a “hat” and a "cat" sign', "a cat"]
    ours = conditioner_of(name)(prompts)
    with torch.no_grad():
        *_, theirs, mask = pipe_of(name).encode_prompt(prompts[1:], batch_size=2)
    assert torch.equal(ours.prompt_embeds_2[1:], theirs)
    assert torch.equal(ours.prompt_attention_mask_2[1:], mask.long())
    assert torch.equal(ours.prompt_embeds_2[0], ours.prompt_embeds_2[1])
    assert not torch.equal(ours.prompt_embeds[0], ours.prompt_embeds[1])
    assert not ours.prompt_embeds_2[2].any()
    assert not ours.prompt_attention_mask_2[2].any()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kept_combined_and_remembered(name, tmp_path):
    cached = Conditioner.from_pipeline(pipe_of(name), cache=EmbeddingCache())
    first, again = (cached("a (red:1.3) cat", negative_prompt="a dog") for _ in range(2))
    assert again.stats.rows == 0
    assert_same(first, again)
    assert_same(first, conditioner_of(name)("a (red:1.3) cat", negative_prompt="a dog"))
    first.save(tmp_path / "kept.safetensors")
    kept = Conditioning.load(tmp_path / "kept.safetensors")
    assert_same(first, kept)
    assert str(kept.report) == str(first.report)
    kept.kwargs_for(pipe_of(name))
    other = conditioner_of(name)("a big cat", negative_prompt="a dog")
    if first.prompt_embeds.shape == other.prompt_embeds.shape:
        assert_same(lerp(first, other, 0.0), first)
        for key, tensor in tensors(lerp(first, other, 0.5)).items():
            if "mask" not in key:
                middle = (tensors(first)[key] + tensors(other)[key]) / 2
                assert torch.allclose(tensor, middle, atol=1e-6)
    concat(first, other).kwargs_for(pipe_of(name))


@pytest.mark.parametrize(("name", "places"), [("Lumina2Pipeline", 511), ("ZImagePipeline", 224)])
@pytest.mark.filterwarnings("ignore")
def test_a_text_that_the_denoiser_has_no_places_for_is_told(name, places):
    pipe = ZOO[name].build()
    conditioner = Conditioner.from_pipeline(pipe)
    fits, long = (conditioner("cat " * count) for count in (120, 700))
    fits.kwargs_for(pipe)
    with pytest.raises(ClipcondError, match=f"has positions for {places}: shorten it"):
        long.kwargs_for(pipe)


@pytest.mark.parametrize("name", ["Flux2KleinPipeline", "CogView4Pipeline", "SanaPipeline"])
@pytest.mark.filterwarnings("ignore")
def test_a_long_prompt_is_cut_where_that_is_asked_for(name):
    pipe, words = ZOO[name].build(), "cat " * 90
    cut = Conditioner.from_pipeline(pipe, long_prompt="truncate")(words, max_sequence_length=48)
    assert cut.prompt_embeds.shape[1] == 48
    assert any(report.cut for *_, report in cut.report.rows())
    with pytest.raises(PromptTooLongError):
        Conditioner.from_pipeline(pipe, long_prompt="error")(words, max_sequence_length=48)
    whole = Conditioner.from_pipeline(pipe)(words, max_sequence_length=48)
    assert whole.prompt_embeds.shape[1] > 48


@pytest.mark.pitfall(44)
@pytest.mark.parametrize("negative", [None, "a bird on a tree"])
def test_pictures_of_several_prompts_are_those_of_each_alone(negative):
    pipe, conditioner = pipe_of("QwenImagePipeline"), conditioner_of("QwenImagePipeline")
    prompts = ["a cat", "a photo of a red dog in the rain"]
    call = ZOO["QwenImagePipeline"].call() | {"output_type": "latent"}
    noise = torch.randn(4, 4, 64, generator=torch.Generator().manual_seed(0))

    def draw(text, count, latents):
        conditioning = conditioner(text, negative_prompt=negative)
        kwargs = conditioning.kwargs_for(pipe, num_images_per_prompt=count)
        with torch.no_grad():
            return pipe(**call, **kwargs, latents=latents.clone())[0]

    together = draw(prompts, 2, noise)
    alone = [
        draw(text, 1, noise[i : i + 1])
        for i, text in zip(range(4), [prompts[0]] * 2 + [prompts[1]] * 2, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


@pytest.mark.parametrize("text", ['("a cat", "a red dog").and()', '("a cat", "a dog").blend(1, 1)'])
def test_content_comes_first_where_the_denoiser_only_counts_it(text):
    pipe = pipe_of("HunyuanVideoPipeline")
    conditioning = Conditioner.from_pipeline(pipe, dialect="compel")(text)
    kwargs = conditioning.kwargs_for(pipe)
    mask = kwargs["prompt_attention_mask"][0].bool()
    count = int(mask.sum())
    assert mask[:count].all()
    own = conditioning.prompt_attention_mask[0].bool()
    assert torch.equal(kwargs["prompt_embeds"][0, :count], conditioning.prompt_embeds[0, own])


def save_text_parts(pipe, folder):
    """What `from_pretrained` reads of a pipeline's folder."""
    slots = [slot for slot in pipe.components if slot.startswith(("text_encoder", "tokenizer"))]
    for slot in slots:
        part = getattr(pipe, slot)
        if slot == "tokenizer_4":  # on disk it pads with what it likes
            part = llama_tokenizer()
        getattr(part, "tokenizer", part).save_pretrained(folder / slot)
    pipe.transformer.save_config(folder / "transformer")
    named = {
        slot: ["transformers", type(getattr(pipe, slot)).__name__.lstrip("_")] for slot in slots
    }
    named["transformer"] = ["diffusers", type(pipe.transformer).__name__]
    index = {"_class_name": type(pipe).__name__, **named}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_gives_what_the_pipeline_gives(name, tmp_path):
    save_text_parts(pipe_of(name), tmp_path)
    conditioner = Conditioner.from_pretrained(tmp_path)
    prompt = 'a (red:1.3) cat with a "hat"'
    assert_same(conditioner(prompt), conditioner_of(name)(prompt))


def test_what_depends_on_more_than_text_is_refused():
    pipe = ZOO["Kandinsky5T2IPipeline"].build()
    pipe.__class__ = type("Kandinsky5I2IPipeline", (type(pipe),), {})
    with pytest.raises(UnsupportedPipelineError, match="reads the picture after the prompt"):
        Conditioner.from_pipeline(pipe)


def test_options_of_other_encoders_are_refused():
    with pytest.raises(ClipcondError, match="no CLIP's layers"):
        Conditioner.from_pipeline(pipe_of("HunyuanVideoPipeline"), clip_skip=1)
    with pytest.raises(ClipcondError, match="reads no prompt_2"):
        conditioner_of("HunyuanImagePipeline")("a cat", prompt_2="a dog")
    with pytest.raises(ClipcondError, match=r"prompt_template: HunyuanImage 2\.1 takes no other"):
        conditioner_of("HunyuanImagePipeline")("a cat", prompt_template={"template": "{}"})


HUNYUAN = [
    "HunyuanVideoPipeline",
    "HunyuanSkyreelsImageToVideoPipeline",
    "HunyuanVideoFramepackPipeline",
]
TEMPLATE = {
    "template": "<|start_header_id|>user<|end_header_id|>\n\nA {} on {{grass}}<|eot_id|>",
    "crop_start": 3,
}


@pytest.mark.parametrize("name", HUNYUAN)
def test_clip_has_a_prompt_of_its_own(name):
    """diffusers 0.42 takes it, and gives CLIP the first one all the same."""
    conditioner = conditioner_of(name)
    ours = conditioner(
        "a cat", prompt_2="a (red:1.0) dog", negative_prompt="bad", negative_prompt_2="sky"
    )
    for positive, negative, part in (
        ("a cat", "bad", "prompt_embeds"),
        ("a red dog", "sky", "pooled_prompt_embeds"),
    ):
        alone = conditioner(positive, negative_prompt=negative)
        for key in (part, f"negative_{part}"):
            assert same("pooled", getattr(ours, key), getattr(alone, key)), key
    assert [r.text for r in ours.report.encoders["text_encoder_2"].prompts] == ["a (red:1.0) dog"]


@pytest.mark.parametrize("name", HUNYUAN)
@pytest.mark.parametrize("prompt", ["cat", "\ncat", ""])
def test_a_template_of_the_calls_own(name, prompt):
    ours = conditioner_of(name)(prompt, prompt_template=TEMPLATE)
    with torch.no_grad():
        states, pooled, mask = pipe_of(name).encode_prompt(prompt, prompt_template=TEMPLATE)
    assert torch.equal(ours.prompt_embeds, states)
    assert torch.equal(ours.pooled_prompt_embeds, pooled)
    assert torch.equal(ours.prompt_attention_mask, mask)
    report = conditioner_of(name).report(prompt, prompt_template=TEMPLATE)
    assert str(report) == str(ours.report)


def test_a_template_without_a_place_to_crop_at_loses_all_before_the_prompt():
    conditioner = conditioner_of("HunyuanVideoPipeline")
    count = len(llama_tokenizer()("<|start_header_id|>user<|end_header_id|>\n\nA")["input_ids"])
    bare = {"template": TEMPLATE["template"]}
    ours, theirs = (
        conditioner("cat", prompt_template=t) for t in (bare, bare | {"crop_start": count})
    )
    assert torch.equal(ours.prompt_embeds[:, 0], theirs.prompt_embeds[:, 0])
    weighted = conditioner("(cat:1.3)", prompt_template=bare)
    assert not torch.equal(weighted.prompt_embeds[:, 0], ours.prompt_embeds[:, 0])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"template": "no place"},
        {"template": "{} and {}"},
        {"template": "{name}"},
        {"template": "{"},
        {"template": None},
        TEMPLATE | {"crop_start": -1},
        TEMPLATE | {"crop_start": "3"},
    ],
)
def test_what_is_no_template_is_refused(wrong):
    with pytest.raises(ClipcondError, match=r"prompt_template: got .*one \{\} for the prompt"):
        conditioner_of("HunyuanVideoPipeline")("a cat", prompt_template=wrong)


def test_a_pipelines_own_default_template_is_followed():
    pipe = ZOO["HunyuanVideoPipeline"].build()

    class Tuned(type(pipe)):
        def __call__(
            self, prompt=None, prompt_2=None, prompt_embeds=None, prompt_template=TEMPLATE
        ):
            raise NotImplementedError

    pipe.__class__ = Tuned
    ours = Conditioner.from_pipeline(pipe)("cat", max_sequence_length=256)
    theirs = conditioner_of("HunyuanVideoPipeline")("cat", prompt_template=TEMPLATE)
    assert torch.equal(ours.prompt_embeds, theirs.prompt_embeds)


def stock(name, prompts):
    """The pipeline's own `encode_prompt`, by our names."""
    pipe, sides = pipe_of(name), dict(batch_size=len(prompts))
    with torch.no_grad():
        if name == "HunyuanVideoPipeline":
            return dict(
                zip(
                    ("prompt_embeds", "pooled_prompt_embeds", "prompt_attention_mask"),
                    pipe.encode_prompt(prompts),
                    strict=True,
                )
            )
        found = pipe.encode_prompt(prompts, **sides)
    names = ("prompt_embeds", "prompt_attention_mask", "prompt_embeds_2", "prompt_attention_mask_2")
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize(
    "name", ["HunyuanVideoPipeline", "HunyuanVideo15Pipeline", "HunyuanImagePipeline"]
)
@pytest.mark.parametrize("blank", ["\n", "\n\n", "\r\n", " ", "  \n ", "\t"])
def test_blank_beginnings_and_prompts_are_read_as_the_pipeline_reads_them(name, blank):
    prompts = [f"{blank}a cat", blank, f"a cat{blank}", f'{blank}a "hat"{blank}\n', "a cat"]
    ours, cached = (
        conditioner_of(name)(prompts),
        Conditioner.from_pipeline(pipe_of(name), cache=EmbeddingCache()),
    )
    for key, theirs in stock(name, prompts).items():
        assert torch.allclose(getattr(ours, key).float(), theirs.float(), atol=1e-6), key
    cached("a cat")  # its row differs from that of "\na cat" in what is dropped only
    alone = tensors(conditioner_of(name)(f"{blank}a cat"))
    for key, tensor in tensors(
        cached(f"{blank}a cat")
    ).items():  # rows of another batch, to the last bits
        assert torch.allclose(tensor.float(), alone[key].float(), atol=1e-5), key
    weighted = conditioner_of(name)(f"{blank}a (cat:1.3)")
    assert not torch.equal(weighted.prompt_embeds[0], ours.prompt_embeds[0])
