"""Write docs/laws.md: which weighting mode keeps which law for which kind of text encoder.

    python -m tests.zoo.laws

What it says is computed with the zoo's tiny encoders, and tests/zoo/test_laws.py computes it again.
"""

from pathlib import Path

import torch

from clipcond import Conditioner
from clipcond.weighting import MODES
from tests.zoo import ZOO

PAGE = Path(__file__).resolve().parents[2] / "docs" / "laws.md"
HEAD = """\
# What weights keep, by text encoder

Each [weighting mode](weighting.md) with each kind of text encoder, as its pipelines use it: tiny ones with random weights, the
prompt "a photo of a (cat:w) on a hat". A cell has the letters of the laws that hold.

"""
# kind of encoder, as its pipelines use it -> one of them
KINDS = {
    "CLIP": "StableDiffusionPipeline",
    "T5": "PixArtAlphaPipeline",
    "BERT and T5": "HunyuanDiTPipeline",
    "T5Gemma": "MotifVideoPipeline",
    "Llama, dropped template": "HunyuanVideoPipeline",
    "Qwen2.5-VL, no padding": "QwenImagePipeline",
    "Qwen3, three layers": "Flux2KleinPipeline",
    "Qwen3-VL, padding inside": "Krea2Pipeline",
    "Qwen3-VL, layers of length 1": "BriaFibo2Pipeline",
    "Qwen2.5-VL, standardised layers": "Cosmos2_5_PredictBasePipeline",
    "Mistral 3, padding in front": "Flux2Pipeline",
    "GLM, padding read": "CogView4Pipeline",
    "Gemma 2, dropped instruction": "SanaPipeline",
    "Gemma 3, all layers": "LTX2Pipeline",
}
LAWS = {
    "u": "unit: a weight of 1 changes no bit",
    "a": "acts: a weight of 1.5 changes the states",
    "f": "finite: states are finite at weights of 0, 0.3, 3 and 10",
    "c": "continuous: at weights of 0.999 and 1.001 the states are nearer to the plain ones than a fiftieth of what they move "
    "from 0.5 to 1.5",
    "o": "own words: no state moves but those of the weighted word",
}
PROMPT = "a photo of a {} on a hat"
WORD = "cat"
WEIGHTS = (1.0, 1.5, 0.5, 0.999, 1.001, 0.0, 0.3, 3.0, 10.0)
EXTREMES = (0.0, 0.3, 3.0, 10.0)


def conditioner_of(pipeline: str, mode: str) -> Conditioner:
    """For a tiny pipeline whose encoders' norms say something, as those of trained ones do: a1111 divides by a mean."""
    pipe, generator = ZOO[pipeline].build(), torch.Generator().manual_seed(0)
    for slot, part in pipe.components.items():
        if slot.startswith("text_encoder") and part is not None:
            for parameter in part.parameters():
                if parameter.ndim == 1:
                    parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return Conditioner.from_pipeline(pipe, weighting=mode)


def kept(pipeline: str, mode: str) -> str:
    """The letters of the laws that a mode keeps for the encoders of a pipeline."""
    conditioner = conditioner_of(pipeline, mode)
    texts = [PROMPT.format(WORD), *(PROMPT.format(f"({WORD}:{weight})") for weight in WEIGHTS)]
    plain, *weighted = conditioner(texts).prompt_embeds.double()
    at = dict(zip(WEIGHTS, weighted, strict=True))
    moves = at[1.5] - at[0.5]
    laws = {
        "u": torch.equal(plain, at[1.0]),
        "a": bool((at[1.5] - plain).any()),
        "f": all(bool(at[weight].isfinite().all()) for weight in EXTREMES),
        "c": all((at[w] - plain).abs().max() <= moves.abs().max() / 50 for w in (0.999, 1.001)),
        "o": int((moves.abs().amax(-1) > 1e-5).sum()) <= _own_tokens(conditioner),
    }
    return "".join(letter for letter, holds in laws.items() if holds)


def _own_tokens(conditioner: Conditioner) -> int:
    report = conditioner.report(PROMPT.format(f"({WORD}:1.5)"))
    return max(
        sum(token.weight != 1 for token in encoder.prompts[0].tokens)
        for encoder in report.encoders.values()
    )


def page() -> str:
    """The page's text."""
    rows = [
        f"| {kind} | {' | '.join(kept(pipeline, mode) for mode in MODES)} |"
        for kind, pipeline in KINDS.items()
    ]
    head = f"| text encoder | {' | '.join(f'`{mode}`' for mode in MODES)} |"
    told = [f"- **{letter}**, {law}" for letter, law in LAWS.items()]
    end = "This page is written by `python -m tests.zoo.laws`."
    return HEAD + "\n".join(
        [*told, "", head, f"| --- |{' --- |' * len(MODES)}", *rows, "", end, ""]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
