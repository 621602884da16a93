"""The named endpoints that `gradio_client` calls. Their names and arguments are a promise (docs/app.md)."""

import base64
import binascii

import gradio as gr
from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.score.calibration import calibrate

from .drawing import download
from .polite import polite
from .settings import checked, text
from .studio import Studio, draw
from .uploads import MAX_FILE, MAX_PIXELS, lines, opened
from .wiring import MODEL


def build(studio: Studio) -> None:
    """Add the endpoints to the page under construction."""

    @polite
    def generate(
        prompt: str,
        negative: str = "",
        dialect: str = "a1111",
        weighting: str = "comfy",
        candidates: int = 4,
        guidance: float = studio.defaults.guidance,
        steps: int = studio.defaults.steps,
        seed: int = 0,
    ) -> dict:
        """Draw candidates of a prompt and rank them; pictures are PNG files as data: addresses."""
        settings = checked(
            prompt=prompt, negative=negative, dialect=dialect, weighting=weighting,
            candidates=candidates, guidance=guidance, steps=steps, seed=seed,
        )  # fmt: skip
        drawn = draw(studio, settings, lambda _step: None)
        generation = drawn.generation
        rows = zip(generation.seeds, generation.scores.tolist(), strict=True)
        verdicts = [bool(verdict) for verdict in drawn.verdicts] or [None] * len(generation.images)
        pictures = [
            {"seed": seed, "score": score, "oracle": verdicts[rank], "png": download(drawn, rank)}
            for rank, (seed, score) in enumerate(rows)
        ]
        cut = generation.provenance["scored_text_truncated"]
        return {"query": settings.query(), "truncated": cut, "pictures": pictures}

    @polite
    def tokens(prompt: str, dialect: str = "a1111") -> dict:
        """What each text encoder sees of a prompt."""
        return studio.read_as(dialect).report(text(prompt, "prompt")).to_json()

    @polite
    def score(prompts: str, picture: str) -> list:
        """Each line of `prompts` with one picture, a data: address of a PNG or JPEG: cosine, percentile, whether it was cut."""
        image, found = picture_of(picture), lines(prompts, "prompts")
        told = calibrate(studio.scorer, [image] * len(found), found, studio.null)
        columns = (told.cosine.tolist(), told.percentile.tolist(), told.truncated.tolist())
        return [
            {"prompt": prompt, "cosine": cosine, "percentile": percentile, "truncated": cut}
            for prompt, cosine, percentile, cut in zip(found, *columns, strict=True)
        ]

    gr.api(generate, api_name="generate", **MODEL)
    gr.api(score, api_name="score", **MODEL)
    gr.api(tokens, api_name="tokens", concurrency_id="tokens", concurrency_limit=4)


def picture_of(address: str) -> Image.Image:
    """The picture in a data: address.

    Raises:
        ClipcondError: it holds none, or one too large.
    """
    head, _, body = address.partition("base64,")
    if not head.startswith("data:image/") or len(body) > MAX_FILE * 4 // 3:
        raise ClipcondError(f"picture: got {address[:40]!r}; pass a data: address of a PNG or JPEG")
    try:
        content = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ClipcondError(f"picture: not base64 ({error}); encode the file's bytes") from error
    return opened("picture", content, MAX_PIXELS)
