"""Write the table of docs/weighting.md: which weighting mode keeps which law for which kind of text encoder.

    python -m tests.zoo.laws

What it says is computed with the zoo's tiny encoders, and tests/zoo/test_laws.py computes it again.
"""

from pathlib import Path

import torch

from clipcond import Conditioner
from clipcond.weighting import MODES
from tests.zoo import ZOO

PAGE = Path(__file__).resolve().parents[2] / "docs" / "weighting.md"
BEGIN, END = "<!-- laws: python -m tests.zoo.laws -->\n", "<!-- end of laws -->\n"
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
    "c": "continuous: at weights of 0.999 and 1.001 the states are nearer to the plain ones than a fiftieth of what they move from 0.5 to "
    "1.5",
    "o": "own words: no state moves but those of the weighted word",
}
PROMPT = "a photo of a {} on a hat"
WORD = "cat"


def _states(conditioner: Conditioner, weight: float | None) -> torch.Tensor:
    text = PROMPT.format(WORD if weight is None else f"({WORD}:{weight})")
    return conditioner(text).prompt_embeds[0].double()


def kept(pipeline: str, mode: str) -> str:
    """The letters of the laws that a mode keeps for the encoders of a pipeline."""
    conditioner = Conditioner.from_pipeline(ZOO[pipeline].build(), weighting=mode)
    plain, unit, strong, weak = (_states(conditioner, w) for w in (None, 1.0, 1.5, 0.5))
    near = max((_states(conditioner, w) - plain).abs().max() for w in (0.999, 1.001))
    extremes = [_states(conditioner, w) for w in (0.0, 0.3, 3.0, 10.0)]
    moved = (strong - weak).abs().amax(-1) > 1e-5
    laws = {
        "u": torch.equal(plain, unit),
        "a": bool(moved.any()),
        "f": all(bool(states.isfinite().all()) for states in extremes),
        "c": bool(near <= (strong - weak).abs().max() / 50),
        "o": int(moved.sum()) <= _own_tokens(conditioner),
    }
    return "".join(letter for letter, holds in laws.items() if holds)


def _own_tokens(conditioner: Conditioner) -> int:
    report = conditioner.report(PROMPT.format(f"({WORD}:1.5)"))
    return max(
        sum(token.weight != 1 for token in encoder.prompts[0].tokens)
        for encoder in report.encoders.values()
    )


def table() -> str:
    """The laws, and what is kept."""
    modes = list(MODES)
    rows = [
        f"| {kind} | {' | '.join(kept(pipeline, mode) for mode in modes)} |"
        for kind, pipeline in KINDS.items()
    ]
    head = f"| text encoder | {' | '.join(f'`{mode}`' for mode in modes)} |"
    told = [f"- **{letter}**, {law}" for letter, law in LAWS.items()]
    return "\n".join([*told, "", head, f"| --- |{' --- |' * len(modes)}", *rows, ""])


def page(text: str) -> str:
    """The page with the table in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
