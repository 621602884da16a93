"""The built wheel, installed in an environment of its own, does the main job from another folder."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import clipcond

CHECKOUT = Path(clipcond.__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        out,
        CHECKOUT,
        cwd=CHECKOUT,
    )
    (built,) = out.glob("clipcond-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The environment's programs: the wheel in a fresh environment, its dependencies from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        packages,
        wheel,
        cwd=folder,
    )
    dependencies = [p for p in sys.path if p.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    return folder / "bin"


def test_the_installed_package_carries_its_model(installed, tmp_path):
    code = (
        "import json, clipcond; from clipcond.resources import model_folder; "
        "print(json.dumps([clipcond.__file__, str(model_folder('emoji'))]))"
    )
    for path in json.loads(run(installed / "python", "-c", code, cwd=tmp_path)):
        assert Path(path).is_relative_to(installed.parent)


def test_the_main_job_from_another_folder(installed, tmp_path):
    command = ["-m", "clipcond", "generate", "a red heart to the left of a (fox:1.3)"]
    options = ["--candidates", "2", "--keep", "1", "--steps", "4", "--out", "pictures"]
    run(installed / "python", *command, *options, cwd=tmp_path)
    assert list((tmp_path / "pictures").glob("*.png"))


def test_the_app_comes_with_it(installed, tmp_path):
    code = (
        "from clipcond.cli.app import _demo; "
        "print(_demo('app').__file__, len(_demo('theme').CSS) > 1000, _demo('studio').second_opinion())"
    )
    path, has_style, judge = run(installed / "python", "-c", code, cwd=tmp_path).split()[-3:]
    assert Path(path).is_relative_to(installed.parent)
    assert has_style == "True"
    assert Path(judge).is_relative_to(installed.parent)
