"""The help of every command, at two widths."""

import re

import pytest

from clipcond.cli.completion import _NAMES
from clipcond.cli.main import _FAMILIES, _VERBS, build_parser
from clipcond.prompt.dialects import DIALECTS
from clipcond.score.variants import VARIANTS
from clipcond.tokens.chunks import POLICIES
from clipcond.weighting.modes import MODES
from clipcond.weighting.normalization import NORMALIZATIONS

COMMANDS = ["", *_FAMILIES, *_VERBS]


def help_of(command, capsys):
    with pytest.raises(SystemExit) as done:
        build_parser().parse_args([*command.split(), "--help"])
    assert done.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_it_fits_and_says_something_of_everything(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = help_of(command, capsys).splitlines()
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if line.endswith("-")]  # a name broken at its hyphen
    # what stands alone in its line has its words in the next
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"  -\S.*", line) and "  " not in line.strip():
            assert following.startswith(" " * 12), line
    (description,) = re.findall(r"(?ms)^\n(\S.*?)\n\n", "\n".join(lines))[:1]
    assert description[0].isupper()
    assert description.endswith(".")


def test_commands_stand_in_one_column(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for family in ("", *_FAMILIES):
        shown = help_of(family, capsys)
        names = [
            name.split()[-1] for name in [*_VERBS, *_FAMILIES] if name.rpartition(" ")[0] == family
        ]
        starts = {re.search(rf"(?m)^  {name} +(?=\S)", shown).end() - re.search(rf"(?m)^  {name} ", shown).start() for name in names}  # fmt: skip
        assert len(starts) == 1


def test_defaults_and_what_is_required_are_told(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    shown = help_of("encode", capsys)
    assert re.search(r"--out DIR .*\(required\)", shown)
    assert re.search(r"--batch-size N .*\(default: 32\)", shown)
    assert "(default " not in "".join(help_of(command, capsys) for command in COMMANDS)


def test_json_is_offered_only_where_something_is_printed(capsys):
    assert "--json" in help_of("score", capsys)
    assert "--json" not in help_of("app", capsys)


def test_names_are_those_that_there_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    assert set(_NAMES["dialect"]) == set(DIALECTS)
    assert _NAMES["weighting"] == tuple(MODES)
    assert _NAMES["long_prompt"] == tuple(POLICIES)
    assert _NAMES["normalization"] == NORMALIZATIONS
    assert set(_NAMES["variant"]) == set(VARIANTS)
    shown = help_of("generate", capsys)
    for names in (DIALECTS, MODES, POLICIES):
        assert all(name in shown for name in names)
