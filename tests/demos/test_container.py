"""The Dockerfile, as far as it can be tried without Docker: what it copies, whom it runs as, what it runs, and how it asks for health."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from clipcond.cli.app import Request
from clipcond.cli.arguments import unpack
from clipcond.cli.main import build_parser
from hatch_build import FOLDERS

ROOT = Path(__file__).parents[2]


def instructions():
    """(name, rest) of each, in order, lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def last(name):
    return [rest for found, rest in instructions() if found == name][-1]


def copied():
    """What comes from the checkout."""
    rests = [rest for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    return {source for rest in rests for source in rest.split()[:-1]}


def test_what_it_copies_is_there_and_nothing_else_is_sent():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied()
    for source in copied():
        assert (ROOT / source).exists(), source


def test_it_copies_what_the_wheel_is_built_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"pyproject.toml", "hatch_build.py", "clipcond", project["readme"], *FOLDERS}
    assert needed | set(project["license-files"]) <= copied()


def test_the_command_is_understood_and_listens_where_it_is_exposed():
    command = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    assert command[0] == "clipcond"
    request = unpack(Request, build_parser().parse_args(command[1:]))
    assert request.host == "0.0.0.0"
    assert str(request.port) == last("EXPOSE")
    assert f":{request.port}/" in last("HEALTHCHECK")


def test_it_runs_as_an_ordinary_user():
    user, _, group = last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    after = [name for name, _ in instructions()]
    assert "RUN" not in after[after.index("USER") :]


def test_its_python_is_one_that_constraints_are_for():
    (version,) = {re.search(r"python:(3\.\d+)", rest)[1] for name, rest in instructions() if name == "FROM"}  # fmt: skip
    assert (3, 11) <= tuple(map(int, version.split("."))) <= sys.version_info[:2]


@pytest.mark.slow
def test_its_health_check_tells_a_running_app_from_none(address):
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    program, *arguments = json.loads(command)
    assert program == "python"
    here = [each.replace("http://127.0.0.1:7860/", address) for each in arguments]
    assert here != arguments
    assert subprocess.run([sys.executable, *here], check=False).returncode == 0
    nobody = [each.replace(":7860/", ":1/") for each in arguments]
    asked = subprocess.run([sys.executable, *nobody], check=False, capture_output=True)
    assert asked.returncode == 1


def test_its_environment_is_written_as_docker_reads_it():
    for word in shlex.split(last("ENV")):
        assert re.fullmatch(r"[A-Z_]+=\S+", word)
