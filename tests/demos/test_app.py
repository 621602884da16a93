"""The running server and its clients: what it answers, what it refuses, and that it lives on."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from clipcond import emoji
from demos import api, app
from demos.scene import compose

# gradio's threads and sockets outlive a test; what they say of it is not ours
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
QUICK = dict(candidates=1, steps=2, api_name="/generate")


@pytest.fixture(scope="module")
def client(address):
    client = Client(address, verbose=False)
    yield client
    client.close()


def record(picture):
    data = base64.b64decode(picture["png"].partition("base64,")[2])
    return json.loads(Image.open(BytesIO(data)).text["clipcond"])


def address_of(image):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_the_promised_endpoints_and_no_other(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/generate", "/tokens", "/score"}
    names = [p["parameter_name"] for p in named["/generate"]["parameters"]]
    assert names == [
        "prompt", "negative", "dialect", "weighting", "candidates", "guidance", "steps", "seed"
    ]  # fmt: skip


def test_generate_ranks_and_says_how(client):
    told = client.predict("a fox", candidates=2, steps=3, seed=7, api_name="/generate")
    scores = [picture["score"] for picture in told["pictures"]]
    assert scores == sorted(scores, reverse=True)
    assert {picture["seed"] for picture in told["pictures"]} == {7, 8}
    assert record(told["pictures"][0])["prompt"] == "a fox"
    assert "prompt=a+fox" in told["query"]
    assert told["truncated"] is False


def test_tokens_and_scores(client):
    told = client.predict("a (fox:1.3)", api_name="/tokens")
    assert told["text_encoder"]["prompts"][0]["tokens"][-1]["weight"] == 1.3
    picture = address_of(emoji.render(compose("a fox")))
    rows = client.predict("a rocket\na fox", picture, api_name="/score")
    assert rows[1]["cosine"] > rows[0]["cosine"]
    assert [row["truncated"] for row in rows] == [False, False]
    rows = client.predict("a fox\n" + "a fox on a house " * 40, picture, api_name="/score")
    assert [row["truncated"] for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(prompt=""), "nothing typed"),
        (dict(prompt="x" * 2**20), "1,048,576 characters"),
        (dict(guidance="nan"), "guidance: got 'nan'"),
        (dict(steps=10**9), "1 to 100"),
        (dict(weighting="heavy"), "heavy"),
        (dict(prompt=f"a (fox:{10**39})"), "weight"),
    ],
)
def test_a_bad_request_is_told_why_and_the_next_one_works(client, changed, says):
    with pytest.raises(AppError, match=says):
        client.predict(**{**QUICK, "prompt": "a fox", **changed})
    assert client.predict("a cat", **QUICK)["pictures"]


def test_right_to_left_text_is_drawn(client):
    told = client.predict("שועל אדום", **QUICK)
    assert record(told["pictures"][0])["prompt"] == "שועל אדום"
    assert told["pictures"][0]["oracle"] is None


def test_pictures_that_are_none(client):
    for picture in (
        "",
        "data:image/png;base64,!!",
        "data:image/png;base64,PHN2Zy8+",
        "/etc/passwd",
    ):
        with pytest.raises(AppError, match="picture"):
            client.predict("a fox", picture, api_name="/score")


def test_an_accident_in_mid_run_is_a_line_and_the_server_lives(client, studio, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(studio.pipe.scheduler, "step", broken)
        with pytest.raises(AppError, match="Something broke") as error:
            client.predict("a fox", **QUICK)
    assert "secret detail" not in str(error.value)
    assert client.predict("a cat", **QUICK)["pictures"]


def test_files_of_the_machine_are_not_served(address):
    import httpx

    for path in ("/etc/passwd", str(app.__file__), "weights/emoji/README.md"):
        assert httpx.get(f"{address}gradio_api/file={path}").status_code in (403, 404)


def test_many_at_once_each_get_their_own(address):
    prompts = ["a fox", "two cats", "a rocket", "a frog", "a banana", "a penguin"]

    def ask(prompt):
        client = Client(address, verbose=False)
        try:
            return [record(client.predict(prompt, **QUICK)["pictures"][0])["prompt"] for _ in "ab"]
        finally:
            client.close()

    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(ask, prompts)) == [[prompt] * 2 for prompt in prompts]


def test_the_picture_of_an_address_is_bounded():
    with pytest.raises(Exception, match="data: address"):
        api.picture_of("data:image/png;base64," + "A" * 40_000_000)
