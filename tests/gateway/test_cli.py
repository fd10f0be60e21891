"""The commands as a user runs them: real processes, ports, signals, exit codes."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import redis
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.bounded_http import HEADERS_MAX
from gateway.cli.server import bound, url_of
from gateway.store.embedded import EmbeddedStore, is_running
from tests.support.stores import server

ROOT = Path(__file__).parents[2]
ENV = {"OPENAI_API_KEY": "sk-hunter2", "FAREBOX_APP_TOKEN": "app-hunter2"}
APP = Path(__file__).parent / "standin_app.py"
WAIT_SECONDS_MAX = 20.0


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, env: dict[str, str] | None = None):
        return CliRunner().invoke(main, args, env=env)

    return run


@contextmanager
def served(folder: Path, *args: str, env: dict[str, str] | None = None):
    """`farebox serve` on a free port, on an app that only counts; yields (process, url)."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(APP), "serve", "--port", "0", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(ENV if env is None else env)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            first = process.stdout.readline()
            yield process, first.split()[-1].removesuffix("/v1") if first else ""
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS_MAX)


def get(url: str, path: str = "/") -> httpx.Response:
    return httpx.get(url + path, timeout=WAIT_SECONDS_MAX, trust_env=False)


def test_every_command_says_what_it_does(run):
    shown = run("--help").output

    assert all(name in shown for name in main.commands)
    assert "Exit codes: 0 ok, 1 a fault was found, 2" in shown
    for name in main.commands:
        assert 0 == run(name, "--help").exit_code


def test_init_writes_a_config_that_works(run, tmp_path):
    first = run("init")
    checked = run("check", "farebox.yaml", "--json", env=ENV)

    assert (0, (ROOT / "config.example.yaml").read_text()) == (
        first.exit_code,
        (tmp_path / "farebox.yaml").read_text(),
    )
    assert "ok" == json.loads(checked.output)["findings"][0]["status"]


def test_init_never_overwrites(run, tmp_path):
    (tmp_path / "farebox.yaml").write_text("mine")

    assert 2 == run("init").exit_code
    assert "mine" == (tmp_path / "farebox.yaml").read_text()


def test_schema_is_json(run):
    assert "properties" in json.loads(run("schema").output)


@pytest.mark.parametrize("command", [("serve",), ("flush",), ("serve", "--config", "none.yaml")])
def test_an_unusable_config_ends_with_2(run, command):
    """And with a sentence, not a traceback."""
    result = run(*command, env={"OPENAI_API_KEY": ""})

    assert 2 == result.exit_code
    assert "farebox init" in result.output


def test_a_flusher_without_a_store_says_so(run):
    result = run("flush", env=ENV)

    assert 1 == result.exit_code
    assert "is not running" in result.output


def test_check_names_each_fault_on_a_line(run, tmp_path):
    (tmp_path / "farebox.yaml").write_text("serve: {}\napps: 7\n")

    result = run("check", "farebox.yaml")

    assert 1 == result.exit_code
    assert [
        "fault    config: line 1: upstreams: is missing",
        'fault    config: line 1: serve: is not a setting; did you mean "server"?',
        "fault    config: line 2: apps: must be a list",
    ] == result.output.splitlines()


def upstream(url: str, models: str = "[demo-small]") -> str:
    return f"""
upstreams:
  - {{name: up, provider: demo, base_url: "{url}/v1", api_key: sk-hunter2, models: {models}}}
apps: [{{id: app, token: app-hunter2}}]
"""


def test_check_tries_what_the_config_names(run, tmp_path):
    """Nothing is started and nothing written on the way."""
    (tmp_path / "farebox.yaml").write_text("")
    with closing(bound("127.0.0.1", 0)) as listener:
        (tmp_path / "farebox.yaml").write_text(upstream(url_of(listener)))
        good = json.loads(run("check", "farebox.yaml", "--json").output)
    bad = run("check", "farebox.yaml", "--json")

    assert [True, "ok", "ok", "ok", "ok", "ok"] == [
        good["ok"],
        *(found["status"] for found in good["findings"]),
    ]
    assert 1 == bad.exit_code
    (fault,) = [f for f in json.loads(bad.output)["findings"] if f["status"] == "fault"]
    assert "upstream up" == fault["subject"]
    assert "Connection refused" in fault["detail"]
    assert "hunter2" not in bad.output
    assert ["farebox.yaml"] == [file.name for file in tmp_path.iterdir()]


def test_check_names_the_models_without_a_price(run, tmp_path):
    """By name only: what a glob will match is not known beforehand."""
    (tmp_path / "farebox.yaml").write_text(
        upstream("http://127.0.0.1:1", "[demo-small, demo-unpriced, 'other-*']")
    )

    output = run("check", "farebox.yaml").output

    assert "warning  prices: demo/demo-unpriced has no price: add" in output


def test_check_names_the_places_without_a_price(run, tmp_path):
    there = "provider: azure, scope: us"
    models = "[gpt-4-turbo, gpt-5.4-mini]"
    (tmp_path / "farebox.yaml").write_text(
        upstream("http://127.0.0.1:1", models).replace("provider: demo", there)
    )

    output = run("check", "farebox.yaml").output

    assert "azure/gpt-4-turbo has no price where it is served (us): add one" in output
    assert "gpt-5.4-mini" not in output
    assert "demo-small" not in output
    assert "other" not in output


def test_check_names_the_aliases_that_lead_nowhere(run, tmp_path):
    """Their calls would be 404, whatever the target costs."""
    models = "{a: demo-small, b: up/demo-small, c: demo/demo-large, d: gpt-4o, e: other/demo-small}"
    text = upstream("http://127.0.0.1:1", "[demo-small]") + f"models: {models}\n"
    (tmp_path / "farebox.yaml").write_text(text)

    findings = json.loads(run("check", "farebox.yaml", "--json").output)["findings"]

    nowhere = [f for f in findings if "no upstream serves" in f["detail"]]
    assert ["model c", "model d", "model e"] == [found["subject"] for found in nowhere]
    assert {"warning"} == {found["status"] for found in nowhere}


def test_check_connects_to_redis_and_reads_its_settings(run, tmp_path):
    with EmbeddedStore(tmp_path / "data") as store:
        (tmp_path / "farebox.yaml").write_text(
            upstream("http://127.0.0.1:1") + f"redis: {{url: '{store.url}'}}\n"
        )
        there = run("check", "farebox.yaml").output
    away = run("check", "farebox.yaml").output

    assert "append-only file, on disk every second" in there
    assert "fault    store: redis.url is away (ConnectionError)" in away


@pytest.mark.parametrize(
    ("policy", "durability", "remedy"),
    [
        ("allkeys-lru", "standard", "set maxmemory-policy noeviction"),
        ("noeviction", "strict", "set appendonly yes and appendfsync always"),
    ],
)
def test_a_store_that_cannot_keep_budgets_is_refused(run, tmp_path, policy, durability, remedy):
    """`check` and `serve` end with 1 and the remedy, before anything listens."""
    with server("valkey") as url:
        with redis.Redis.from_url(url) as admin:
            admin.config_set("maxmemory-policy", policy)
        (tmp_path / "farebox.yaml").write_text(
            upstream("http://127.0.0.1:1") + f"redis: {{url: '{url}'}}\ndurability: {durability}\n"
        )
        checked = run("check", "farebox.yaml")
        started = run("serve", "--config", "farebox.yaml", "--port", "0")

    assert (1, 1) == (checked.exit_code, started.exit_code)
    assert "fault    store: " in checked.output
    assert remedy in checked.output
    assert "farebox: the store at redis.url cannot be used: " in started.output
    assert remedy in started.output


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_serve_answers_then_drains_and_keeps_what_it_counted(tmp_path, workers):
    """SIGTERM: the running call is answered, the store is stopped last, the exit code is 0."""
    with served(tmp_path, "--workers", workers) as (process, url):
        assert "1" == get(url).text
        slow = []
        caller = threading.Thread(target=lambda: slow.append(get(url, "/slow").text))
        caller.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        caller.join()

        assert ["2"] == slow
        assert 0 == process.wait(WAIT_SECONDS_MAX)
        assert not is_running(tmp_path / "farebox-data")
    with served(tmp_path) as (process, url):
        assert "3" == get(url).text
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(WAIT_SECONDS_MAX)


def test_serve_tells_where_and_how_without_telling_secrets(tmp_path):
    """Its output may be a log: the curl reads the token from its file."""
    env = {"OPENAI_API_KEY": "sk-hunter2", "FAREBOX_APP_TOKEN": "", "FAREBOX_ADMIN_KEY": ""}
    with served(tmp_path, env=env) as (process, url):
        get(url)
        process.send_signal(signal.SIGTERM)
        # Not `communicate`, which passes over what `readline` has buffered.
        output, errors = process.stdout.read(), process.stderr.read()
    data = tmp_path / "farebox-data"
    kept = [data / "admin_key", data / "app_token"]

    assert f"$(cat {data / 'app_token'})" in output
    assert str(data / "admin_key") in output
    for file in kept:
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        assert file.read_text().strip() not in output + errors
    assert "hunter2" not in output + errors


def test_a_taken_port_is_said_before_anything_is_started(tmp_path):
    with closing(bound("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with served(tmp_path, "--port", str(port)) as (process, _):
            _, errors = process.communicate(timeout=WAIT_SECONDS_MAX)

    assert 1 == process.returncode
    assert f"127.0.0.1:{port} is taken by another program" in errors
    assert not (tmp_path / "farebox-data" / "store").exists()


def test_an_address_of_another_machine_is_refused(tmp_path):
    with served(tmp_path, "--host", "192.0.2.1") as (process, _):
        _, errors = process.communicate(timeout=WAIT_SECONDS_MAX)

    assert (1, True) == (process.returncode, "cannot listen on 192.0.2.1" in errors)


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_an_app_that_does_not_start_ends_the_command(tmp_path, workers):
    """With 1, and no store is left behind."""
    with served(tmp_path, "--workers", workers, env={**ENV, "BROKEN": "1"}) as (process, _):
        _, errors = process.communicate(timeout=WAIT_SECONDS_MAX)

    assert (1, True) == (process.returncode, "did not start" in errors)
    assert not is_running(tmp_path / "farebox-data")


def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    """Else they would hold the port against the next start."""
    with served(tmp_path, "--workers", "2") as (process, url):
        get(url)
        process.kill()
        process.wait()
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                get(url)
            except httpx.TransportError:
                break
            time.sleep(0.05)
        with pytest.raises(httpx.ConnectError):
            get(url)
    with served(tmp_path) as (process, url):  # takes over the store, and stops it
        get(url)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(WAIT_SECONDS_MAX)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """The URL of one that serves all the while."""
    with served(tmp_path_factory.mktemp("standing")) as (_, url):
        yield url


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"x-%d: y\r\n" % number for number in range(HEADERS_MAX + 2)),
        b"x: " + b"y" * 500_000,
        b"x: " + b"y" * 70_000 + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["many headers", "an endless header", "a long header", "no header"],
)
def test_a_flood_of_headers_is_refused(standing, head):
    """In the shape OpenAI's SDKs read, and the next caller is served."""
    port = httpx.URL(standing).port
    with socket.create_connection(("127.0.0.1", port)) as flood:
        flood.settimeout(WAIT_SECONDS_MAX)
        try:
            flood.sendall(b"GET / HTTP/1.1\r\n" + head)
            answer = flood.recv(65_536)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert answer == b"" or b'"code":"invalid_http"' in answer
    assert 200 == get(standing).status_code


def test_colours_are_left_out_when_not_wanted(run, tmp_path):
    """`NO_COLOR`, and wherever the output is no terminal."""
    (tmp_path / "farebox.yaml").write_text("{}")

    coloured = CliRunner().invoke(main, ["check", "farebox.yaml"], color=True)
    plain = CliRunner().invoke(main, ["check", "farebox.yaml"], color=True, env={"NO_COLOR": "1"})

    assert "\x1b[" in coloured.output
    assert "\x1b[" not in plain.output
