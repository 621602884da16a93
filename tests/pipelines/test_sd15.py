"""The Stable Diffusion 1.5 recipe runs on a tiny folder, as a function and as a program."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipelines import sd15
from tests.tiny import save_tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


def test_load_and_generate(folder, capsys):
    pipe = sd15.load(folder)
    both = sd15.generate(pipe, "a (red:1.3) cat", "bad", num_images=2, num_inference_steps=2)
    second = sd15.generate(pipe, "a (red:1.3) cat", "bad", num_inference_steps=2, seed=1)
    assert [image.size for image in both] == [(32, 32), (32, 32)]
    assert both[0].tobytes() != both[1].tobytes()
    assert both[1].tobytes() == second[0].tobytes()
    assert "red(1.3)" in capsys.readouterr().out


@pytest.mark.slow
def test_as_a_program(folder, tmp_path):
    out = tmp_path / "picture.png"
    recipe = Path(sd15.__file__)
    command = [sys.executable, recipe, "a cat", "--model", folder, "--steps", "2", "--out", out]
    subprocess.run(command, check=True, capture_output=True, cwd=recipe.parents[1])
    with Image.open(out) as picture:
        assert picture.size == (32, 32)
