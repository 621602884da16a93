"""Write docs/pipelines.md: every class of diffusers that reads a prompt with CLIP, T5 or a language model, and whether it can be conditioned.

    python -m tests.zoo.page

What it says is what tests/zoo/test_conditioning.py shows.
"""

from pathlib import Path

from clipcond.families.contract import CLIP_CLASSES, T5_CLASSES, T5GEMMA_CLASSES
from clipcond.families.finding import family_named
from tests.zoo.support import NOTES, SUPPORTED, UNSUPPORTED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pipelines.md"
HEAD = """\
# Pipelines

diffusers 0.42 has {all} pipeline classes outside its deprecated ones whose prompt a CLIP, a T5 or a language model reads.
{supported} of them can be conditioned: `Conditioner.from_pipeline(pipe)`, then `pipe(**conditioning.kwargs_for(pipe))`. For each
of those a test builds a tiny one with random weights and compares the picture with that of plain strings; for each family whose
prompt a language model reads alone, two prompts of several lengths together, two pictures of one, and no negative prompt as
well, where its call takes them. The others are refused with a reason.

What acts inside the denoiser ([steps](steps.md), [regions](regions.md), [attention](attention.md)) is tested on each of them
too, and says so where it cannot: Stable Audio, LEDITS++, the latent upscaler, LTX-2 and Z-Image Omni take no schedules, since their
denoisers read no text that could change, or read it elsewhere as well; Kandinsky 5 and 6, Qwen-Image and Fibo 2, which
read prompts without padding, Nucleus, and Cosmos from films compose none; Qwen-Image 2.1 wants `use_kv_cache=False` for either; whoever
guides by perturbed attention, or by more than a negative prompt, or not at all, has nothing to compose against.

Classes that diffusers has deprecated (`diffusers.pipelines.deprecated`) are neither listed nor tested: one whose text
encoders, denoiser and call are those of a family is conditioned as it, another is refused by name.

This page is written by `python -m tests.zoo.page`.

## Supported

| model | read by | classes |
| --- | --- | --- |
"""
# what people call a text encoder -> its classes
READERS = {
    "CLIP": CLIP_CLASSES,
    "T5": T5_CLASSES,
    "T5Gemma": T5GEMMA_CLASSES,
    "BERT": ("BertModel",),
    "Llama": ("LlamaModel",),
    "Qwen2-VL": ("Qwen2VLForConditionalGeneration",),
    "Qwen2.5-VL": ("Qwen2_5_VLForConditionalGeneration",),
    "Qwen3": ("Qwen3ForCausalLM",),
    "Qwen3-VL": ("Qwen3VLForConditionalGeneration", "Qwen3VLModel", "Qwen3VLTextModel"),
    "Mistral 3": ("Mistral3ForConditionalGeneration", "Mistral3Model"),
    "Gemma 2": ("Gemma2Model",),
    "Gemma 3": ("Gemma3ForConditionalGeneration",),
    "GLM": ("GlmModel",),
}


def readers(family: str) -> str:
    """What people call a family's text encoders."""
    names = [
        next(name for name, classes in READERS.items() if role.encoders[0] in classes)
        for role in family_named(family).roles
    ]
    return ", ".join(dict.fromkeys(names))


def page() -> str:
    """The page's text."""
    families: dict[str, list[str]] = {}
    for name, family in SUPPORTED.items():
        families.setdefault(family, []).append(name.removesuffix("Pipeline"))
    rows = [
        f"| {family} ({len(names)}) | {readers(family)} | {', '.join(names)} |"
        for family, names in families.items()
    ]
    refused = [f"| {name.removesuffix('Pipeline')} | {why} |" for name, why in UNSUPPORTED.items()]
    head = HEAD.format(all=len(SUPPORTED) + len(UNSUPPORTED), supported=len(SUPPORTED))
    notes = [f"- {name.removesuffix('Pipeline')}: {note}" for name, note in NOTES.items()]
    tail = ["", "## Not supported", "", "| class | why |", "| --- | --- |", *refused, ""]
    return head + "\n".join([*rows, "", *notes, *tail])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
