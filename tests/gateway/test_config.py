"""A config is either right, or told all that is wrong with it, and no secret with it."""

import json
import pickle
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from gateway.cli.texts import example_config, json_schema
from gateway.config import (
    Config,
    ConfigError,
    configured,
    from_environment,
    load,
    resolve,
    resolved_from_environment,
    source,
)
from gateway.config.environment import KNOWN
from gateway.config.kept import kept_secret
from pricing.book import PriceBook

ENV = {"OPENAI_API_KEY": "sk-hunter2", "FAREBOX_APP_TOKEN": "app-hunter2"}
EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
LEAST = """
upstreams:
  - {name: openai, provider: openai, base_url: "https://api.openai.com/v1", api_key: sk-hunter2}
apps:
  - {id: app, token: app-hunter2}
"""
FORMS = "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
UNSET = "the environment variable NOPE is not set: set it, or give a default with ${NOPE:-…}"
USER_IN_URL = "must not contain a user or password: use api_key or headers"
IN_A_COMMENT = {
    ("apps", "token_sha256"),
    ("groups", "period_budget"),
    ("groups", "total_budget"),
    ("groups", "budget_duration"),
    ("groups", "period_start"),
    ("groups", "period_end"),
    ("tokens", "keys", "id"),
    ("tokens", "keys", "secret"),
    ("webhooks", "url"),
    ("webhooks", "secret"),
    ("webhooks", "events"),
    ("webhooks", "allow_private"),
    ("unpriced", "input"),
    ("unpriced", "output"),
    ("unpriced", "max_output"),
}
"""Settings that exclude the one the example shows."""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "farebox.yaml"
        file.write_text(text)
        return file

    return write


def faults(file: Path, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, env=ENV if env is None else env)
    return [str(fault) for fault in caught.value.faults]


def settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting of `model`, sections and lists included."""
    for name, field in model.model_fields.items():
        yield (*path, name)
        for inner in models_in(field.annotation):
            yield from settings(inner, (*path, name))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def written(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield (*path, name)
            yield from written(value, (*path, name))
    elif isinstance(data, list):
        for value in data:
            yield from written(value, path)


def test_the_example_is_valid_as_it_stands():
    """Given the variables it names, and only those."""
    named = set(re.findall(r"\$\{([A-Z_]+)\}", re.sub(r"#.*", "", EXAMPLE.read_text())))

    config = load(EXAMPLE, env=ENV)

    assert set(ENV) == named
    assert "gpt-4o-mini" == config.apps[0].model
    assert EXAMPLE.parent / "farebox-data" == config.data_dir


def test_the_example_shows_every_setting():
    """And no other, which loading it proves."""
    shown = set(written(YAML(typ="safe").load(EXAMPLE.read_text())))
    expected = set(settings(Config))

    assert expected - shown == IN_A_COMMENT & expected == IN_A_COMMENT
    for path in IN_A_COMMENT:
        assert re.search(rf"#.*\b{path[-1]}:", EXAMPLE.read_text()), path


def test_the_example_shows_the_defaults(write):
    """What a reader deletes from it changes nothing."""
    example = load(EXAMPLE, env=ENV).model_dump(exclude={"upstreams", "apps", "prices", "data_dir"})
    least = load(write(LEAST), env={}).model_dump(
        exclude={"upstreams", "apps", "prices", "data_dir"}
    )

    assert least == example


def test_all_faults_come_at_once_with_line_and_remedy(write):
    """A user mends a file in one go, not fault by fault."""
    file = write("""version: 2
server: {port: on, prot: 1, workers: 0}
admin_key: ${NOPE}
redis: {url: "http://user:hunter2@x"}
upstreams:
  - name: a
    provider: x
    base_url: https://u:hunter2@h/v1
    api_key: ""
    headers: {"bad name": hunter2}
    timeouts: {connect: -1, total: hunter2}
  - base_url: 7
apps:
  - {id: "x y", tokn: hunter2, user_is_customer: on}
customers:
  default: {period_budget: -1, total_budget: 1e-13, markup_percentage: 0.00001}
budgets: {timezone: Europe/Berlim, policy: hunter2}
unpriced: {input: 1, output: hunter2}
limits: []
limits: {}
""")

    assert [
        "line 1: version: must be 1",
        "line 2: server.port: must be a whole number",
        "line 2: server.workers: must be greater than or equal to 1",
        'line 2: server.prot: is not a setting; did you mean "port"?',
        f"line 3: admin_key: {UNSET}",
        f"line 4: redis.url: must start with {FORMS}",
        f"line 8: upstreams[0].base_url: {USER_IN_URL}",
        "line 9: upstreams[0].api_key: is empty",
        "line 10: upstreams[0].headers.bad name: is not a legal header name",
        "line 11: upstreams[0].timeouts.connect: must be more than 0 and at most 86,400 seconds",
        'line 11: upstreams[0].timeouts.total: must be a number, like 10 or "0.25"',
        "line 12: upstreams[1].name: is missing",
        "line 12: upstreams[1].provider: is missing",
        "line 12: upstreams[1].base_url: must be text: put it in quotes",
        "line 12: upstreams[1].api_key: is missing",
        "line 14: apps[0].id: must be 1 to 64 letters, digits, dots, dashes or underscores",
        "line 14: apps[0].user_is_customer: must be true or false",
        'line 14: apps[0].tokn: is not a setting; did you mean "token"?',
        "line 16: customers.default.period_budget: must be from 0 to 9,000,000 USD",
        "line 16: customers.default.total_budget: has more than 12 decimals of a dollar",
        "line 16: customers.default.markup_percentage: may have at most 4 decimals of a percent",
        "line 17: budgets.policy: must be 'fit', 'reject' or 'soft'",
        'line 17: budgets.timezone: is not an IANA time zone; did you mean "Europe/Berlin"?',
        'line 18: unpriced.output: must be a number, like 10 or "0.25"',
        "line 18: unpriced.max_output: is missing",
        "line 20: limits: stands twice: remove one",
    ] == faults(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "line 1: not valid YAML"),
        ("sk-hunter2: [", "line 1: not valid YAML"),
        ("a: b: sk-hunter2", "line 1: not valid YAML"),
        ("\tx: 1", "line 1: not valid YAML"),
        ("", "must be a mapping"),
        ("- 1", "must be a mapping"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("upstreams: &a [*a]", "nested too deep"),
        ("a: !!python/object:os.system x", "means nothing here"),
        ("? [a]\n: b", "a key must be a plain word"),
        ("upstreams: []\napps: []", "upstreams: needs at least one"),
        (LEAST + "data_dir: 3", "data_dir: must be a path"),
        (LEAST + "data_dir: ${broken", "without a name"),
        (
            LEAST.replace("api_key", "scope: ue, api_key"),
            "scope: is no place that prices of openai",
        ),
        (LEAST.replace("api_key", "scope: ue, api_key"), "there are eu, regional, us, and global"),
        (LEAST.replace("api_key", "scope: us-east-1, api_key"), "prices of openai know"),
        (
            LEAST.replace("provider: openai", "provider: groq, scope: us"),
            "upstreams[0].scope: means nothing: groq has one price everywhere",
        ),
        (LEAST + "modles: {fast: x}", 'modles: is not a setting; did you mean "models"?'),
        (LEAST + "models: {fast: quick, quick: gpt-4o}", "models.fast: is one of these names"),
        (LEAST + "models: {fast: fast}", "models.fast: is one of these names"),
        (LEAST + 'models: {fast: ""}', "models.fast: must be 1 to 512 printable characters"),
        (LEAST + "  - {id: app, token: b}", "apps[1].id: is the same as that of number 1"),
        (LEAST + "  - {id: b, token: app-hunter2}", "apps[1].token: is the same"),
        (LEAST + "  - {id: b}", "apps[1].token: is missing"),
        (LEAST + f"  - {{id: b, token: x, token_sha256: {'a' * 64}}}", "remove one of the two"),
        (LEAST + "  - {id: b, token: x, identity: cookie}", "must be 'any', 'header' or 'token'"),
        (LEAST + "  - {id: b, token: x, identity: token}", "add a key under tokens.keys"),
        (LEAST + "  - {id: b, token: x, cors_origins: [example.com]}", "must be an origin"),
        (LEAST + "  - {id: b, token: x, cors_origins: ['https://a.b/c']}", "must be an origin"),
        (LEAST + "webhooks: [{url: 'https://a.b', secret: hunter2}]", "must be whsec_"),
        (LEAST + "webhooks: [{url: ftp://a.b, secret: x}]", "http(s) URL"),
        (LEAST + "tokens: {keys: [{id: k, secret: hunter2}]}", "at least 32 bytes"),
        (LEAST + "  - {id: b, token: x, upstreams: [opnai]}", 'did you mean "openai"'),
        (LEAST + "admin_key: app-hunter2", "apps[0].token: is the admin key"),
        (LEAST + 'admin_key: "a b"', "printable ASCII"),
        (LEAST + "budgets: {policy: hard}", "must be 'fit', 'reject' or 'soft'"),
        (LEAST + "budgets: {min_output_tokens: 0}", "budgets.min_output_tokens"),
        (LEAST + "budgets: {reject_status: 500}", "must be 402 or 429"),
        (LEAST + "server: {port: 65536}", "less than or equal to 65535"),
        (LEAST + "server: {workers: true}", "must be a whole number"),
        (LEAST + "prices: [{provider: x}]", "prices[0]: model: is missing"),
        (
            LEAST
            + "prices: [{provider: x, model: y, free: true}, {provider: x, model: y, free: on}]",
            "prices[1]: (x/y).free: must be true or false",
        ),
        (LEAST + "prices: [hunter2]", "prices[0]: must be a mapping"),
        (LEAST + "server: 7", "server: must be a mapping"),
        (LEAST + "group: {}", 'group: is not a setting; did you mean "groups"?'),
        (LEAST + "groups: {a: {perod_budget: 1}}", 'did you mean "period_budget"?'),
        (LEAST + "groups: {a: {budget_duration: daily}}", "groups.a: has no limit"),
        (LEAST + "groups: {a: {period_budget: -1}}", "groups.a.period_budget: must be from 0"),
        (
            LEAST + "groups: {a: {period_budget: 1, period_start: soon}}",
            "groups.a.period_start: must be a date or datetime, like 2026-11-01",
        ),
        (
            LEAST + "groups: {a: {period_budget: 1, period_end: 2026-01-01}}",
            "groups.a.period_end: needs a period_start beside it: add one, or remove it",
        ),
        (
            LEAST + "groups: {a: {total_budget: 1, period_start: 2026-01-01}}",
            "groups.a.period_start: does nothing without a period_budget: add one",
        ),
        (
            LEAST + "groups: {a: {period_budget: 1, period_start: 2026-02-01,"
            " period_end: 2026-02-01}}",
            "groups.a.period_end: must be at least 1 minute after period_start",
        ),
        (
            LEAST + "  - {id: b, token: x, period_budget: 1, period_start: 2026-02-01T00:00:00,"
            " period_end: 2026-01-31T22:00:00-01:00}",
            "apps[1].period_end: must be at least 1 minute after period_start",
        ),
        (
            LEAST + "  - {id: b, token: x, period_start: 2026-02-01}",
            "apps[1].period_start: does nothing without a period_budget",
        ),
        (LEAST + 'groups: {"~a": {period_budget: 1}}', "groups.~a: is no group identifier"),
        (LEAST + 'groups: {"\\xe9": {total_budget: 1}, "e\\u0301": {total_budget: 2}}', "twice"),
        (LEAST + "  - {id: b, token: x, period_budget: much}", "apps[1].period_budget: must be a"),
        (LEAST + "limits: {request_bytes: 1.5}", "must be a whole number"),
        (LEAST + "customers: {default: {period_budget: .nan}}", "finite"),
        (LEAST + "customers: {default: {period_budget: 9000001}}", "9,000,000"),
        (LEAST + "customers: {default: {rate_limit: 0}}", "greater than or equal to 1"),
        (LEAST.replace("/v1", "/v1/"), "must not end with a slash"),
        (LEAST.replace("/v1", "/{deployment}"), "may have {model} in its path"),
        (LEAST.replace("/v1", "/v1?x=1"), "see `query`"),
        (LEAST.replace("https:", "ftp:"), "http(s) URL"),
        (LEAST.replace("api.openai.com", "[::1"), "http(s) URL"),
        (LEAST.replace("api_key: sk", "headers: {Host: x}, api_key: sk"), "the gateway itself"),
    ],
)
def test_a_fault_is_named_and_no_secret_with_it(write, text, expected):
    found = "\n".join(faults(write(text)))

    assert expected in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"# " + b"x" * 2**20, "larger than 1 MiB"),
        (b"a: \x00", "not valid YAML"),
        (b"[" * 800, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, expected):
    file = tmp_path / "farebox.yaml"
    file.write_bytes(content)

    assert expected in faults(file)[0]


def test_a_missing_file_says_how_to_get_one(tmp_path):
    assert "farebox init" in faults(tmp_path / "none.yaml")[0]


def test_yaml_is_of_version_1_2():
    """`on`, `off`, `no` and `yes` are words; numbers keep their digits."""
    text = "{a: on, b: no, c: 0.10, d: 017, e: 0o17, f: 1_000, g: 2026-01-01, h: ~, i: true}"

    data = source.read(text, {}).data

    expected = ("on", "no", Decimal("0.10"), 17, 15, 1000, "2026-01-01", None, True)
    assert expected == tuple(data.values())
    assert "0.10" == str(data["c"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SET}", "value"),
        ("a${SET}b${SET}", "avaluebvalue"),
        ("${UNSET:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${UNSET:-}", ""),
        ("${EMPTY}", ""),
        ("$${SET}", "${SET}"),
        ("$SET", "$SET"),
        ("${NESTED}", "${SET}"),
    ],
)
def test_variables_are_replaced_once_in_values(text, expected):
    """What a variable holds is a value, whatever it looks like."""
    env = {"SET": "value", "EMPTY": "", "NESTED": "${SET}"}

    assert {"k": expected} == source.read(f"k: {text}", env).data


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_variable_cannot_change_the_structure(value):
    assert {"k": value} == source.read("k: ${V}", {"V": value}).data


@given(st.text())
def test_no_text_breaks_the_reader(text):
    """It is read or refused, never a traceback."""
    read = source.read(text, {})

    assert isinstance(read.data, dict) or read.faults


def test_numbers_and_switches_may_come_from_the_environment(write):
    file = write(
        LEAST.replace("hunter2}\n", "hunter2, manage: '${M}'}\n", 2).replace(
            "sk-hunter2, manage: '${M}'", "sk-hunter2"
        )
        + "server: {port: '${P}', drain_seconds: '${D:-7}'}\n"
        + "customers: {default: {period_budget: '${B}'}}\nredis: {url: '${R:-}'}\n"
    )

    config = load(file, env={"M": "true", "P": "9000", "B": "12.50"})

    assert (True, 9000, 7) == (
        config.apps[0].manage,
        config.server.port,
        config.server.drain_seconds,
    )
    assert Decimal("12.50") == config.customers.default.period_budget
    assert config.redis.url is None


def test_prices_keep_the_digits_they_were_written_with(write):
    entry = "{provider: x, model: no, base: {input: 0.10, output: '1'}, limits: {context: 8192}}"

    config = load(write(LEAST + f"prices: [{entry}]"), env={})

    assert (
        {
            "provider": "x",
            "model": "no",
            "base": {"input": "0.10", "output": "1"},
            "limits": {"context": 8192},
        },
    ) == config.prices


def test_no_secret_is_shown(write):
    """Not by repr, not by a dump to JSON, not by a pickled error."""
    file = write(
        LEAST.replace("api_key", "headers: {X-Key: hunter2}, query: {key: hunter2}, api_key")
        + "admin_key: adm-hunter2\nredis: {url: 'redis://:hunter2@localhost'}\n"
    )

    config = load(file, env={})
    resolved = resolve(config)

    assert "hunter2" not in repr(config) + str(resolved) + config.model_dump_json()
    assert "redis://:hunter2@localhost" == resolved.store_url
    assert "adm-hunter2" == resolved.admin_key
    assert resolved == pickle.loads(pickle.dumps(resolved))


def test_a_config_cannot_be_changed(write):
    with pytest.raises(ValueError, match="frozen"):
        load(write(LEAST), env={}).server.port = 1


def test_keys_say_what_to_send():
    base = {"name": "a", "provider": "a", "base_url": "http://h"}
    upstreams = [
        Config.model_validate(
            {"upstreams": [{**base, "api_key": key}], "apps": [{"id": "a", "token": "t"}]}
        ).upstreams[0]
        for key in ("passthrough", "none", "sk-1")
    ]

    assert [(True, None), (False, None), (False, "sk-1")] == [
        (upstream.passthrough, upstream.own_key) for upstream in upstreams
    ]


def test_the_schema_knows_every_setting_and_no_secret():
    schema = json.loads(json_schema())

    assert set(Config.model_fields) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    port = schema["$defs"]["Server"]["properties"]["port"]
    assert ["integer", "string"] == [choice["type"] for choice in port["anyOf"]]


def test_the_installed_example_is_the_one_in_the_repository():
    assert EXAMPLE.read_text() == example_config()


def test_without_a_file_every_provider_with_a_key_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {"OPENAI_API_KEY": "sk-1", "GEMINI_API_KEY": "g-1", "GROQ_API_KEY": ""}

    config = from_environment(env)
    kept = (tmp_path / "farebox-data" / "app_token").read_text().strip()
    token = config.apps[0].token

    assert ["openai", "google"] == [upstream.name for upstream in config.upstreams]
    assert ["sk-1", "g-1"] == [upstream.own_key for upstream in config.upstreams]
    assert token is not None
    assert kept == token.get_secret_value()
    assert config == from_environment(env)


def test_without_a_file_or_a_key_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*farebox init"):
        from_environment({})
    assert [] == list(tmp_path.iterdir())


def test_the_environment_may_name_the_file(write, monkeypatch):
    file = write(LEAST + "admin_key: adm")
    monkeypatch.setenv("FAREBOX_CONFIG", str(file))

    assert load(file, env={}) == configured(None, {"FAREBOX_CONFIG": str(file)})
    assert resolve(load(file, env={})) == resolved_from_environment()


def test_a_kept_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    """Gateways that start at the same time agree on it."""
    file = tmp_path / "data" / "admin_key"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kept_secret(file, prefix="x-"), range(32)))

    assert 1 == len({secret.get_secret_value() for secret in found})
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == list(file.parent.iterdir())


def test_an_empty_kept_secret_is_no_secret(tmp_path):
    (tmp_path / "admin_key").touch()

    with pytest.raises(ConfigError, match="delete it"):
        kept_secret(tmp_path / "admin_key", prefix="x-")


@pytest.mark.parametrize(
    ("provider", "given", "scope"),
    [
        ("openai", "EU", "eu"),
        ("openai", "Global", "global"),
        ("azure", "apac", "apac"),
        ("azure-openai", "us", "us"),
        ("bedrock", "US-East-1", "us-east-1"),
        ("bedrock", "us-gov-west-1", "us-gov-west-1"),
        ("mistral", "global", "global"),
    ],
)
def test_a_place_is_one_that_the_providers_prices_know(write, provider, given, scope):
    """In any case; of a cloud whose regions have prices, any region."""
    text = LEAST.replace("provider: openai", f"provider: {provider}, scope: {given}")

    assert scope == load(write(text), env={}).upstreams[0].scope


def test_a_place_of_the_configurations_own_prices_is_known(write):
    price = "{id: a, base: {input: 1}, multipliers: [{when: {scope: Moon}, num: 2, den: 1}]}"
    text = LEAST.replace("provider: openai", "provider: lab, scope: moon")

    assert faults(write(text))
    assert load(write(f"{text}prices: [{{provider: lab, model: m, prices: [{price}]}}]"), env={})


@pytest.mark.parametrize(
    ("provider", "given", "trusts"),
    [
        ("openai", "", False),
        ("xai", "", False),
        ("xai", "reported_cost: trust, ", True),
        ("openrouter", "", True),
        ("openrouter", "reported_cost: trust, ", True),
        ("openrouter", "reported_cost: compare, ", False),
    ],
)
def test_who_has_no_prices_but_states_its_costs_is_trusted(write, provider, given, trusts):
    """Unless the configuration says otherwise."""
    text = LEAST.replace("provider: openai", f"{given}provider: {provider}")

    assert trusts == load(write(text), env={}).upstreams[0].trusts_reported_cost


def test_what_a_first_call_asks_for_is_there_and_has_a_price():
    """A card that is not marked as retired, by the name that it is called by."""
    book = PriceBook.load()
    for known in KNOWN:
        if known.name != "openrouter":
            card = book.find(known.name, known.small).card
            assert card is not None, known.small
            assert "Retired" not in (card.prices[-1].note or ""), known.small
            assert card.prices[-1].to_ms is None
