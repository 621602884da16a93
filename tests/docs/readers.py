"""What readers of the documentation have at hand: for each page with Python, the folder and the names that its blocks need.

Models of the hub are folders of that name in the current one, where `from_pretrained` looks first; so a reader's code is what runs.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import clipcond
from clipcond import emoji
from clipcond.precompute import encode_prompts
from tests import doubles as tiny
from tests.encoders.test_lora_loading import write as write_lora
from tests.families import layouts
from tests.score.test_preference import original_head, state_dict
from tests.tiny import clip_tokenizer, save_tiny_clip, save_tiny_pipeline, tiny_pipeline

ROOT = Path(clipcond.__file__).parents[1]
SD1 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
CLIP = "openai/clip-vit-base-patch32"


def blocks(page: str, *languages: str) -> list[str]:
    """The text of a page's blocks in one of the languages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = rf"^```(?:{'|'.join(languages)})\n(.*?)^```$"
    return re.findall(fences, text, flags=re.DOTALL | re.MULTILINE)


def pages_with(*languages: str) -> list[str]:
    """The pages that have such blocks; templates of pages are not among them."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("weights/*/README.md")]
    names = sorted(page.relative_to(ROOT).as_posix() for page in pages)
    return [page for page in names if blocks(page, *languages)]


def nothing(folder: Path) -> dict[str, Any]:
    """A page that begins from nothing."""
    return {}


def pipeline(folder: Path) -> dict[str, Any]:
    """`pipe`, and the files that pages on conditioning name."""
    layouts.write(folder, "sd1", layouts.pipeline("sd1")).rename(folder / "model.safetensors")
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    return {"clipcond": clipcond, "pipe": tiny_pipeline()}


def encoders(folder: Path) -> dict[str, Any]:
    """As `pipeline`, with LoRAs and embeddings."""
    write_lora(folder / "loras" / "ink.safetensors")
    write_lora(folder / "loras" / "xl" / "oil.safetensors", seed=2)
    (folder / "captions.txt").write_text("a fox\na car\n")
    conditioner = clipcond.Conditioner.from_pipeline(tiny.sd1())
    encode_prompts(conditioner, folder / "captions.txt", folder / "embeddings")
    return pipeline(folder)


def pictures(folder: Path) -> dict[str, Any]:
    """Pictures with prompts and scores, in a checkout; and what judges preferences."""
    checkout(folder)
    for name in ("PickScore_v1", "clip-vit-large-patch14"):
        save_tiny_clip(folder / "path" / "to" / name)
    torch.save(state_dict(original_head()), folder / "sac+logos+ava1-l14-linearMSE.pth")
    scenes = [emoji.sample(seed) for seed in range(8)]
    images = [emoji.render(scene) for scene in scenes]
    rng = np.random.default_rng(0)
    return {
        "clipcond": clipcond,
        "torch": torch,
        "pictures": images[:4],
        "others": images[4:],
        "prompts": [emoji.caption(scene, 0) for scene in scenes[:4]],
        "many_prompts": [emoji.caption(emoji.sample(seed), 0) for seed in range(20, 40)],
        "selecting": rng.normal(size=(5, 8)),
        "quality": rng.normal(size=(5, 8)),
        "pipe": tiny_pipeline(),
    }


def checkout(folder: Path) -> dict[str, Any]:
    """The root of the repository."""
    for name in ("weights", "docs", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    return {}


def hub(folder: Path) -> dict[str, Any]:
    """Stable Diffusion 1 and a CLIP."""
    save_tiny_pipeline(folder / SD1)
    save_tiny_clip(folder / CLIP)
    return {}


def cookbook(folder: Path) -> dict[str, Any]:
    """Models, two checkpoints, prompts, captions, and pictures with theirs."""
    tiny.BUILDERS["sdxl"]().save_pretrained(folder / SDXL)
    for seed, steps in enumerate(("1000", "2000")):
        save_tiny_pipeline(folder / "checkpoints" / steps, seed)
    (folder / "prompts.txt").write_text("a red fox\na car\na fox\n")
    captions = [json.dumps({"caption": text}) for text in ("a fox", "a car", "a fox", "a cat")]
    (folder / "captions.jsonl").write_text("\n".join(captions))
    (folder / "pictures").mkdir()
    for number, color in enumerate(("red", "green", "blue", "white", "black") * 4):
        name = "fox" if number == 0 else f"{color}-{number}"
        Image.new("RGB", (40, 40), color).save(folder / "pictures" / f"{name}.jpg")
        (folder / "pictures" / f"{name}.txt").write_text(f"a {color} fox {number}")
    return hub(folder)


def a_few_scenes(folder: Path) -> dict[str, Any]:
    """A folder of pictures, and a table about them."""
    (folder / "pictures").mkdir()
    for number in range(5):
        emoji.render(emoji.sample(number), 32).save(folder / "pictures" / f"{number}.png")
    (folder / "captions.csv").write_text("file,caption\n0.png,a fox\n")
    return {}


def a_few_prompts(folder: Path) -> dict[str, Any]:
    """A file with prompts."""
    (folder / "prompts.txt").write_text("a red heart\ntwo foxes\na fox\n")
    return {}


def captioned(folder: Path) -> dict[str, Any]:
    """Pictures whose names are their captions."""
    (folder / "pictures").mkdir()
    for number, color in enumerate(("red", "green", "blue", "white", "black", "gray") * 4):
        Image.new("RGB", (40, 40), color).save(
            folder / "pictures" / f"a_{color}_heart-{number}.png"
        )
    return {"clipcond": clipcond}


@dataclass(frozen=True, kw_only=True)
class Page:
    """How a page is run.

    Attributes:
        given: folder -> the names that its blocks take as given; writes what they read.
        shows: what must hold of the names and files that its blocks leave.
        prints: parts of what it prints.
        slow: whether it takes more than about ten seconds.
    """

    given: Callable[[Path], dict[str, Any]] = nothing
    shows: Callable[[dict[str, Any]], bool] = bool
    prints: tuple[str, ...] = ()
    slow: bool = False


def drawn(names: dict[str, Any]) -> bool:
    """Whether the last pictures are those of a tiny pipeline."""
    return names["images"][0].size == (32, 32)


PAGES = {
    "README.md": Page(given=hub, shows=lambda names: len(names["result"].images) == 4),
    "docs/attention.md": Page(given=pipeline, shows=drawn),
    "docs/checkpoints.md": Page(
        given=checkout,
        prints=(
            "center 1 shortest edge to",
            "multi 2 shortest edge to",
            "README.md: not a picture that Pillow can read",
        ),
    ),
    "docs/conditioning.md": Page(given=pipeline, shows=drawn),
    "docs/cookbook.md": Page(
        given=cookbook,
        shows=lambda names: len(names["data"]) == 4 and names["trained"].finished,
        prints=("1.3 0 rows encoded", "cannot tell"),
        slow=True,
    ),
    "docs/encoders.md": Page(given=encoders, shows=drawn),
    "docs/evaluating.md": Page(
        given=a_few_prompts,
        shows=lambda names: (
            len(names["evaluation"].table) == 12 and Path("out/report.html").is_file()
        ),
        slow=True,
    ),
    "docs/five-minutes.md": Page(),
    "docs/index.md": Page(given=hub, shows=drawn),
    "docs/migrating.md": Page(given=pipeline, shows=drawn),
    "docs/regions.md": Page(given=pipeline, shows=drawn),
    "docs/reranking.md": Page(
        given=pictures,
        shows=lambda names: len(names["best"]) == 4 and names["curve"].n == (1, 2, 4, 8),
    ),
    "docs/scoring.md": Page(given=pictures),
    "docs/search.md": Page(given=a_few_scenes, shows=lambda names: names["hit"], slow=True),
    "docs/steps.md": Page(given=pipeline, shows=drawn),
    "docs/training-clip.md": Page(given=captioned, prints=("my-clip after 20 steps",)),
    "docs/weighting.md": Page(given=pipeline),
    "weights/emoji/README.md": Page(given=checkout),
}

# pages that a test of their own runs
ELSEWHERE = {
    "docs/app.md": "tests/docs/test_app_page.py",  # against a running app
    "docs/prompt-language.md": "tests/prompt/test_page.py",  # as doctests
}
