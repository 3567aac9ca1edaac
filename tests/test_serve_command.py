"""The command ``focalrt serve``: what it prints, whom it lets in, how it ends."""

import http.client
import signal
import socket
import sys
from argparse import Namespace
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi", reason="the service needs the serve extra")
pytest.importorskip("onnx", reason="the tiny model is written with onnx, of the test extra")

from serving import TOKEN, serving
from tiny_model import write_tiny_model

from focalrt.cli import main
from focalrt.serve.command import hosts_of, token_of
from focalrt.serve.listen import address, bound


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = tmp_path_factory.mktemp("desk")
    write_tiny_model(desk / "tiny")
    return desk


def status(port, path="/", host="127.0.0.1", token=None, at="127.0.0.1"):
    connection = http.client.HTTPConnection(at, port, timeout=60)
    headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request("GET", path, headers=headers)
    told = connection.getresponse().status
    connection.close()
    return told


def test_it_prints_an_address_that_works_and_ends_when_interrupted(desk):
    with serving(["--model", "tiny"], desk) as (process, port, token):
        assert len(token) >= 32
        assert status(port, token=token) == 200
        assert status(port) == 401
        assert status(port, "/health") == 200
        assert status(port, f"/?token={token}") == 303
        assert status(port, token=token, host="evil.example") == 421
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
        assert process.stdout.read() == ""


def test_a_token_and_names_of_ones_own(desk):
    with serving(["--model", "tiny", "--token", TOKEN, "--allow-host", "labels.example"], desk) as (_, port, token):
        assert token == TOKEN
        assert status(port, token=TOKEN, host="labels.example") == 200


def test_where_the_token_comes_from(monkeypatch):
    monkeypatch.delenv("FOCALRT_TOKEN", raising=False)
    first, second = (token_of(Namespace(token=None)) for _ in range(2))
    assert first != second
    monkeypatch.setenv("FOCALRT_TOKEN", TOKEN)
    assert token_of(Namespace(token=None)) == TOKEN
    assert token_of(Namespace(token=first)) == first


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="127.0.0.2 is this machine on Linux only")
def test_it_listens_at_one_address_of_this_machine_only(desk):
    with serving(["--model", "tiny", "--token", TOKEN], desk) as (_, port, _):
        assert status(port, token=TOKEN) == 200
        with pytest.raises(ConnectionRefusedError):
            status(port, at="127.0.0.2")


def test_small_answers_wait_for_no_acknowledgement():
    """asyncio turns Nagle's algorithm off only where the listening socket names its protocol."""
    with bound("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken(desk, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--model", str(desk / "tiny"), "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot listen at 127.0.0.1 port" in capsys.readouterr().err


def test_a_model_that_is_not_there(desk, capsys):
    assert main(["serve", "--model", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--token short", "token: expected 16 to 200"),
        ("--port 70000", "expected a port"),
        ("--port -1", "expected"),
        ("--workers 0", "expected an integer of at least 1"),
        ("--queue none", "expected an integer of at least 1"),
        ("--threads 0", "threads: expected at least 1"),
        ("--idle 0", "expected an integer of at least 1"),
    ],
)
def test_arguments_that_do_not_fit(desk, arguments, told, capsys):
    try:
        returned = main(["serve", "--model", str(desk / "tiny"), "--port", "0", *arguments.split()])
    except SystemExit as ended:
        returned = ended.code
    assert returned == 2
    assert told in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="127.0.1.1 is this machine on Linux only")
@pytest.mark.parametrize("at", ["127.0.1.1", "127.0.0.1"])
def test_a_name_for_this_machine_is_served_where_it_leads(at, capsys):
    """Debian, for one, has its own name stand for 127.0.1.1."""
    with bound(at, 0) as listening:
        hosts = hosts_of(Namespace(host="my-machine", allow_host=["labels.example"]), listening)
        assert urlsplit(address(listening, TOKEN)).hostname in hosts
    assert {"my-machine", "labels.example", "localhost"} <= hosts
    assert capsys.readouterr().err == ""


def test_a_name_for_the_network_is_told(capsys):
    with bound("0.0.0.0", 0) as listening:
        hosts_of(Namespace(host="localhost.example", allow_host=[]), listening)
    assert "open to the network at localhost.example" in capsys.readouterr().err


def test_beyond_this_machine_it_says_so_and_keeps_the_token(desk):
    with serving(["--model", "tiny", "--host", "0.0.0.0", "--token", TOKEN], desk) as (process, port, _):
        assert status(port) == 401
        assert status(port, token=TOKEN) == 200
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert "without encryption" in process.stderr.read()
