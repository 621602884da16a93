"""`clipcond app`: what is refused before anything is loaded."""

import pytest

from clipcond.cli import main


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--auth", "nobody"], "USER:PASSWORD"),
        (["--auth", ":secret"], "USER:PASSWORD"),
        (["--model", "no/such/folder"], "no/such/folder"),
    ],
)
def test_what_makes_no_sense(options, says, capsys):
    pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")
    assert main(["app", *options]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_without_gradio_the_repair_is_named(monkeypatch, capsys):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "demos"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 2
    assert "clipcond[demo]" in capsys.readouterr().err
