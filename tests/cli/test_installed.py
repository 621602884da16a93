"""`clipcond --version`: what is installed here, and in an environment of a few packages."""

import platform
import subprocess
import sys
import venv
from importlib import metadata

import diffusers
import pytest
import torch

import clipcond
from clipcond.cli import main

CPU_ONLY = metadata.version("torch").endswith("+cpu")


def told(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    return capsys.readouterr().out


def test_it_tells_versions_and_the_device_in_two_columns(capsys):
    out = told(capsys)
    assert len({line.index(line.split(maxsplit=1)[1]) for line in out.splitlines()}) == 1
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["clipcond"] == clipcond.__version__
    assert lines["python"] == platform.python_version()
    assert lines["diffusers"] == diffusers.__version__
    assert lines["torch"].startswith(f"{torch.__version__} on ")
    assert ("cuda" in lines["torch"]) == torch.cuda.is_available()
    assert {"[demo]", "[train]", "[evaluate]", "[search]"} <= set(lines)
    assert "[dev]" not in lines


@pytest.mark.skipif(not CPU_ONLY, reason="only torch can tell the device")
def test_it_imports_nothing_heavy():
    code = (
        "import sys; from clipcond.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'transformers', 'diffusers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_it_says_what_an_extra_lacks_and_how_to_get_it(tmp_path):
    # an environment with the metadata of a few packages and nothing else
    venv.create(tmp_path, with_pip=False)
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    for name, version, also in (
        (
            "clipcond",
            "0",
            "Provides-Extra: demo\nProvides-Extra: fast\nProvides-Extra: dev\n"
            'Requires-Dist: gradio>=6; extra == "demo"\nRequires-Dist: simplejpeg; extra == "fast"\n'
            'Requires-Dist: pytest; extra == "dev"\n',
        ),
        ("gradio", "5.1", ""),
        ("simplejpeg", "1.0", ""),
    ):
        folder = packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{also}"
        )
    import packaging

    roots = {clipcond.__path__[0], packaging.__path__[0]}
    links = tmp_path / "links"
    links.mkdir()
    for root in roots:
        (links / root.rpartition("/")[2]).symlink_to(root)
    done = subprocess.run(
        [tmp_path / "bin" / "python", "-m", "clipcond", "--version"],
        env={"PYTHONPATH": str(links)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["[demo]"] == "lacks gradio>=6: pip install 'clipcond[demo]'"
    assert lines["[fast]"] == "there"
    assert lines["torch"] == lines["diffusers"] == "not installed"
    assert "[dev]" not in lines
