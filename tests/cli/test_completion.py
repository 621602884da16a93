"""`clipcond completion`: the scripts, asked as the shells ask them."""

import shutil
import subprocess
import sys

import pytest

from clipcond.cli import main
from clipcond.cli.completion import SHELLS

# what bash does when Tab is pressed
_PRESS_TAB = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
function=$(complete -p clipcond | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(capsys, tmp_path):
    def write(shell):
        assert main(["completion", shell]) == 0
        path = tmp_path / f"script.{shell}"
        path.write_text(capsys.readouterr().out)
        return path

    return write


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["e"], {"encode", "evaluate"}),
        (["evaluate", ""], {"run", "pictures", "compare", "retrieval"}),
        (["completion", ""], set(SHELLS)),
        (["generate", "--can"], {"--candidates"}),
        (["generate", "a cat", "--dialect", "a"], {"a1111", "a1111+"}),
        (["generate", "--weighting", "c"], {"comfy", "comfy++", "compel"}),
        (["tokens", "--long-prompt", "t"], {"truncate"}),
        (["score", "--json", "--resizing", ""], {"exact", "fast"}),
        (["search", "index", "p"], {"pictures", "p.zip"}),
        (["score", "--out", "p"], {"pictures", "p.zip"}),
        (["generate", "--out", "p"], {"pictures"}),
        (["train", "--init", "p"], {"pictures", "p.zip"}),
    ],
)
def test_bash_offers(words, candidates, script, tmp_path):
    folder = tmp_path / "here"
    (folder / "pictures").mkdir(parents=True)
    (folder / "p.zip").touch()
    asked = ["bash", "-c", _PRESS_TAB, "bash", script("bash"), "clipcond", *words]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == candidates


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_offers_with_their_meanings(script):
    asked = f"source {script('fish')}; complete -C 'clipcond convert --to comp'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("compel\tthe dialect to write")


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "tcsh"])
def test_the_shell_itself_finds_no_mistake_in_it(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    subprocess.run([shell, "-n", script(shell)], check=True, capture_output=True)


def test_tcsh_reads_it(script):
    if shutil.which("tcsh") is None:
        pytest.skip("needs tcsh")
    asked = ["tcsh", "-f", "-c", f"source {script('tcsh')}; complete clipcond"]
    assert "evaluate" in subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def test_it_loads_no_models():
    code = (
        "import sys; from clipcond.cli import main; main(['completion', 'bash'])\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_another_shell_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "ksh"])
    assert "'ksh' (choose from" in capsys.readouterr().err
