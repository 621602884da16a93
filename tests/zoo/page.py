"""Write docs/pipelines.md: every class of diffusers that reads CLIP or T5, and Qwen-Image's and Flux.2 Klein's, and whether it can be conditioned.

    python -m tests.zoo.page

What it says is what tests/zoo/test_conditioning.py shows.
"""

from pathlib import Path

from tests.zoo.support import NOTES, SUPPORTED, UNSUPPORTED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pipelines.md"
HEAD = """\
# Pipelines

diffusers 0.42 has {all} pipeline classes outside its deprecated ones whose text encoder is a CLIP, a T5 or has one
beside it, or that are of Qwen-Image or Flux.2 Klein, whose prompts a language model reads alone. {supported} of them can be conditioned: `Conditioner.from_pipeline(pipe)`, then
`pipe(**conditioning.kwargs_for(pipe))`. For each of those a test builds a tiny one with random weights and compares the
picture with that of plain strings; the others are refused with a reason. What acts inside the denoiser ([steps](steps.md),
[regions](regions.md), [attention](attention.md)) is tested on each of them too: Stable Audio, LEDITS++ and the latent upscaler,
whose denoisers read no text that could change, or read it elsewhere as well, take no schedules; Kandinsky 5 and 6 and Qwen-Image, which
read prompts without padding, and Cosmos from films compose none; whoever guides by perturbed attention, or not at all, says
so. Classes that diffusers has deprecated (`diffusers.pipelines.deprecated`) are neither listed nor tested: one whose text
encoders, denoiser and call are those of a family is conditioned as it, another is refused by name.

This page is written by `python -m tests.zoo.page`.

## Supported

| family | classes |
| --- | --- |
"""


def page() -> str:
    """The page's text."""
    families: dict[str, list[str]] = {}
    for name, family in SUPPORTED.items():
        families.setdefault(family, []).append(name.removesuffix("Pipeline"))
    rows = [
        f"| {family} ({len(names)}) | {', '.join(names)} |" for family, names in families.items()
    ]
    refused = [f"| {name.removesuffix('Pipeline')} | {why} |" for name, why in UNSUPPORTED.items()]
    head = HEAD.format(all=len(SUPPORTED) + len(UNSUPPORTED), supported=len(SUPPORTED))
    notes = [f"- {name.removesuffix('Pipeline')}: {note}" for name, note in NOTES.items()]
    tail = ["", "## Not supported", "", "| class | why |", "| --- | --- |", *refused, ""]
    return head + "\n".join([*rows, "", *notes, *tail])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
