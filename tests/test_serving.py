"""The measurement of the app as a server, its page, and that a server that is told to end leaves nothing behind."""

import json
import re
import shlex

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")

from benchmarks.serving import BEGIN, END, PAGE, RESULTS, SESSIONS, ask_all, serving, table, upload
from clipcond.cli.main import build_parser
from demos.app import _FORGET, WAITING
from demos.uploads import MAX_FILE, MAX_PICTURES, MAX_PIXELS
from tests.demos.conftest import address, studio

__all__ = ["address", "studio"]  # fixtures

TEXT = PAGE.read_text(encoding="utf-8")
MEASURED = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_has_the_figures_that_were_measured():
    _, _, rest = TEXT.partition(BEGIN)
    assert rest.partition(END)[0] == table(MEASURED)


def test_the_targets_are_met():
    load, uploads = MEASURED["load"], MEASURED["uploads"]
    assert (load["clients"], load["requests"]) == (30, 10)
    assert load["outcomes"] == {"own": 300}
    assert load["growth_mb"] < 50
    assert MEASURED["sessions"]["more_mb"] < 5
    assert load["files_after"] == load["files_before"]
    assert uploads["kept"] - uploads["before"] == uploads["pictures"]
    assert uploads["after_the_time"] == uploads["after_the_end"] == uploads["before"]


def test_its_commands_are_understood():
    lines = re.findall(r"(?m)^.*\bclipcond app .*$", TEXT.replace("\\\n", " "))
    lines = [line for line in lines if "`" not in line]
    assert len(lines) >= 3
    for line in lines:
        build_parser().parse_args(shlex.split(line[line.index("clipcond app") :])[1:])


def test_its_limits_are_the_app_s():
    assert f"up to {WAITING} wait" in TEXT
    assert f"an upload of {MAX_FILE >> 20} MB (a zip: unpacked), {MAX_PICTURES} pictures" in TEXT
    assert f"{MAX_PIXELS // 10**6} million pixels" in TEXT
    assert f"client_max_body_size {MAX_FILE >> 20}m;" in TEXT
    assert _FORGET == 3600  # "for an hour"
    assert f"with the {SESSIONS}th it ends" in TEXT


@pytest.mark.slow
def test_clients_at_once_get_their_own(address):
    told = ask_all(address, clients=3, requests=5, first_seed=7)
    assert told.outcomes == {"own": 15}
    assert len(told.seconds) == 15


@pytest.mark.slow
def test_a_server_that_is_told_to_end_leaves_no_upload(tmp_path):
    with serving(tmp_path) as server:
        before = server.files()
        upload(server, b"once")
        upload(server, b"once")
        upload(server, b"another")
        assert server.files() == before + 2
        server.end()
        assert server.process.returncode == 0
        assert server.files() == before
