"""What can be typed: each verb's request says it once, and comes back typed."""

import argparse

import pytest

from clipcond.cli.arguments import ClipRequest, add_arguments, option, unpack
from clipcond.cli.main import _VERBS, build_parser

# the least that has to be typed
LEAST = {
    "generate": ["a cat"],
    "score": ["0.png", "--prompt", "a cat"],
    "rerank": ["pictures", "--prompt", "a cat"],
    "classify": ["0.png", "--classes", "a,b"],
    "parse": ["a cat"],
    "tokens": ["a cat"],
    "convert": ["a cat", "--to", "compel"],
    "encode": ["prompts.csv", "--out", "there"],
    "evaluate run": ["--out", "there"],
    "evaluate pictures": ["pictures", "--out", "there"],
    "evaluate compare": ["there"],
    "evaluate retrieval": ["pairs.csv"],
    "search index": ["pictures", "--db", "there"],
    "search find": ["a cat", "--db", "there"],
    "search duplicates": ["--db", "there"],
    "search cluster": ["--db", "there"],
    "search stats": ["--db", "there"],
    "search tune": ["--db", "there"],
    "train": ["pictures", "--out", "there"],
    "app": [],
    "completion": ["bash"],
}


@pytest.mark.parametrize("verb", _VERBS)
def test_defaults_are_what_requests_say_they_are(verb):
    kind, _ = _VERBS[verb]
    typed = unpack(
        kind, build_parser().parse_args([*verb.split(), *LEAST[verb]])
    )  # beartype checks each
    assert type(typed) is kind
    assert getattr(typed, "clip", ClipRequest()) == ClipRequest()


def test_one_of_several_has_to_be_typed(capsys):
    for arguments in (["score"], ["score", "--prompt", "a", "--prompts", "b.csv"]):
        with pytest.raises(SystemExit):
            build_parser().parse_args(arguments)
        assert "--prompt" in capsys.readouterr().err


def test_the_help_tells_defaults_as_they_are_typed():
    from dataclasses import make_dataclass

    kind = make_dataclass("Kind", [("how_much", float, option("X", "how much", default=0.0))])
    command = argparse.ArgumentParser()
    add_arguments(command, kind)
    assert "--how-much X" in command.format_help()
    assert "how much (default: 0)" in command.format_help()
    assert unpack(kind, command.parse_args([])) == kind(0.0)
