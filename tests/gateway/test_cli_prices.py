"""`farebox prices` as a user runs it: prices, costs, differences, corrections."""

import json
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from gateway.cli import main
from gateway.event import Kind
from gateway.rating import Rating
from pricing.book import PriceBook
from tests.support.gateways import TOKEN, a_customer, by_hand, gateway, settings, wait_until

OK, FAULT, USAGE = 0, 1, 2
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
DEMO_SMALL = {"input": "0.15", "cache_read": "0.075", "output": "0.60"}


def run(*args: str, **options: Any):
    """Standard output and standard error apart, and the exit code."""
    return CliRunner().invoke(main, ["prices", *args], **options)


def told(*args: str, **options: Any) -> Any:
    """The JSON that a command prints."""
    ended = run(*args, "--json", **options)
    assert "" == ended.stderr, ended.stderr
    return json.loads(ended.stdout)


def costs(*blocks: object) -> list[dict[str, Any]]:
    """The answers to blocks, given as JSON lines."""
    lines = "\n".join(b if isinstance(b, str) else json.dumps(b) for b in blocks)
    ended = run("cost", "-", input=lines)
    assert OK == ended.exit_code
    return [json.loads(line) for line in ended.stdout.splitlines()]


def block(**changes: Any) -> dict[str, Any]:
    """800 tokens read, 200 of them from the cache, and 100 written: 0.000195 USD."""
    return {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "at": "2026-01-01",
        "usage": {
            "prompt_tokens": 1000,
            "prompt_tokens_details": {"cached_tokens": 200},
            "completion_tokens": 100,
        },
        **changes,
    }


def written(folder: Path, name: str, content: object) -> str:
    file = folder / name
    file.write_text(json.dumps(content))
    return str(file)


def entry(rate: str = "1", **fields: Any) -> dict[str, Any]:
    return {"provider": "lab", "model": "m", "base": {"input": rate, "output": "4"}, **fields}


class TestShow:
    def test_a_price_of_a_day_is_shown_with_its_source(self) -> None:
        shown = run("show", "gpt-4o-mini", "--at", "2026-01-01", "--provider", "openai")

        assert OK == shown.exit_code
        for part in ("openai/gpt-4o-mini", "2026-01-01T12:00:00Z", "0.15", "source https://"):
            assert part in shown.stdout

    def test_a_provider_in_front_of_the_name_is_asked_alone(self) -> None:
        found = told("show", "openai/gpt-4o-mini")

        assert ["openai"] == [card["provider"] for card in found["results"]]
        (price,) = [p for p in found["results"][0]["prices"] if p["in_force"]]
        assert "0.15" == price["usd_per_million"]["input"]
        assert price["sources"][0]["seen"]

    def test_the_price_before_the_first_is_none(self) -> None:
        """Before a model had a price it has none; the later ones are listed."""
        shown = run("show", "claude-sonnet-4-5", "--provider", "anthropic", "--at", "2020-01-01")

        assert OK == shown.exit_code
        assert "has no price at 2020-01-01T12:00:00Z" in shown.stdout
        assert "Other prices" in shown.stdout

    def test_it_says_which_places_its_rates_are_for(self) -> None:
        assert "where served global; unpriced elsewhere" in run("show", "azure/gpt-4-turbo").stdout
        assert "where served" not in run("show", "mistral/mistral-large-2512").stdout

    def test_an_unknown_name_says_which_are_near(self) -> None:
        shown = run("show", "gpt4o-mini")

        assert FAULT == shown.exit_code
        assert "openai/gpt-4o-mini" in shown.stderr
        assert "openai/gpt-4o-mini" in told("show", "gpt4o-mini")["near"]

    def test_the_config_lies_over_the_book(self, tmp_path) -> None:
        config = written(
            tmp_path,
            "c.yaml",
            settings(tmp_path, "http://x.example", prices=[entry()]) | {"data_dir": str(tmp_path)},
        )

        assert FAULT == run("show", "lab/m").exit_code
        assert OK == run("show", "lab/m", "--config", config).exit_code

    def test_a_time_that_is_none_names_the_option(self) -> None:
        shown = run("show", "gpt-4o", "--at", "yesterday")

        assert USAGE == shown.exit_code
        assert "--at must be a date" in shown.stderr


class TestCost:
    def test_one_line_each(self) -> None:
        (answer,) = costs(block())

        assert {"cost_usd", "price_id", "line_items", "rounding_usd", "usage"} == answer.keys()
        assert ("0.000195", "0") == (answer["cost_usd"], answer["rounding_usd"])
        assert [("input", 800), ("cache_read", 200), ("output", 100)] == [
            (item["component"], item["quantity"]) for item in answer["line_items"]
        ]
        total = sum(Decimal(item["amount"]) for item in answer["line_items"])
        assert Decimal(answer["cost_usd"]) == total
        assert {"input_total": 1000, "output_total": 100} == {
            name: answer["usage"][name] for name in ("input_total", "output_total")
        }

    def test_an_object_over_many_lines_is_one(self) -> None:
        ended = run("cost", "-", input=json.dumps(block(), indent=2))

        assert "0.000195" == json.loads(ended.stdout)["cost_usd"]

    def test_a_file_is_read_like_standard_input(self, tmp_path) -> None:
        file = tmp_path / "blocks.jsonl"
        file.write_text(f"{json.dumps(block())}\n\n{json.dumps(block())}\n")

        assert 2 == len(run("cost", str(file)).stdout.splitlines())

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"model": "nobody's"}, "unknown_model", None),
            ({"provider": "nobody"}, "unknown_model", None),
            (
                {"model": "claude-sonnet-4-5", "provider": "anthropic", "at": "2020-01-01"},
                "no_price",
                None,
            ),
            ({"service_tier": "warp"}, "unpriced_component", None),
            (
                {
                    "usage": {
                        "prompt_tokens": 9,
                        "prompt_tokens_details": {"audio_tokens": 9},
                        "completion_tokens": 0,
                    }
                },
                "unpriced_component",
                None,
            ),
            ({"tool_calls": {"page": 1}}, "unpriced_component", None),
            (
                {"provider": "azure", "model": "gpt-4-turbo", "deployment_scope": "us"},
                "unpriced_component",
                None,
            ),
            ({"provider": "groq", "model": "groq/compound"}, "unknown_model", None),
            ({"usage": None}, "invalid_usage", "usage"),
            ({"usage": {"prompt_tokens": -1}}, "invalid_usage", "usage"),
            ({"at": "soon"}, "invalid_field", "at"),
            ({"model": 4}, "invalid_field", "model"),
            ({"provider": None}, "invalid_field", "provider"),
            ({"tool_calls": {"searching": 1}}, "invalid_field", "tool_calls.searching"),
            ({"tool_calls": {"web_search": 1.5}}, "invalid_field", "tool_calls.web_search"),
            ({"modle": "x"}, "invalid_field", "modle"),
        ],
    )
    def test_what_cannot_be_priced_says_why(self, changes, code, field) -> None:
        """Never an amount that is almost right; and the next line is priced all the same."""
        error, good = costs(block(**changes), block())

        assert ["error"] == list(error)
        assert (code, field) == (error["error"]["code"], error["error"].get("field"))
        assert "0.000195" == good["cost_usd"]

    @pytest.mark.parametrize("line", ["nonsense", "{", '{"provider":', "\x00"])
    @pytest.mark.parametrize("first", [True, False])
    def test_a_line_that_is_no_json_keeps_its_place(self, line, first) -> None:
        answers = costs(line, block()) if first else costs(block(), line)

        assert "invalid_json" == answers[0 if first else 1]["error"]["code"]
        assert "0.000195" == answers[1 if first else 0]["cost_usd"]

    def test_a_day_is_its_noon_in_utc(self) -> None:
        """Prices change at instants: a day that has two is not left to chance."""
        noon, day = costs(block(at="2026-01-01T12:00:00Z"), block(at="2026-01-01"))

        assert noon == day

    def test_tools_are_billed_by_the_piece(self) -> None:
        plain, searched = costs(
            block(model="gpt-4o"), block(model="gpt-4o", tool_calls={"web_search": 2})
        )

        more = Decimal(searched["cost_usd"]) - Decimal(plain["cost_usd"])
        assert Decimal("0.02") == more  # 10 USD for a thousand
        assert {"web_search": 2} == searched["usage"]["fees"]

    def test_a_price_by_the_request_is_billed_for_one(self, tmp_path) -> None:
        """Nobody states it in a usage block: a call is one request."""
        price = {
            "id": "lab/m@1",
            "base": {"input": "1", "output": "4"},
            "fees": {"request": {"rate": "5", "per": 1000}},
        }
        config = settings(
            tmp_path,
            "http://x.example",
            prices=[{"provider": "lab", "model": "m", "prices": [price]}],
        ) | {"data_dir": str(tmp_path)}
        asked = json.dumps(block(provider="lab", model="m"))

        ended = run("cost", "-", "--config", written(tmp_path, "c.yaml", config), input=asked)

        # 1,000 in at 1, as no cache rate is known; 100 out at 4; and 5 for a thousand requests.
        assert Decimal("0.0064") == Decimal(json.loads(ended.stdout)["cost_usd"])

    def test_r42_the_long_tier_is_strictly_over(self) -> None:
        under, over = costs(
            *(
                block(
                    provider="anthropic",
                    model="claude-sonnet-4-5",
                    usage={"input_tokens": tokens, "output_tokens": 0},
                )
                for tokens in (200_000, 200_001)
            )
        )

        assert ("0.6", "1.200006") == (under["cost_usd"], over["cost_usd"])

    @pytest.mark.parametrize(
        ("endpoint", "dollars"),
        [
            # Text 5 and 10, pictures 32 a million: a quarter if what was drawn is taken for text.
            ("/v1/images/generations", "0.12825"),
            ("images/edits", "0.12825"),
            ("/v1/chat/completions", "0.04025"),
            (None, "0.04025"),
        ],
    )
    def test_r43_what_an_images_route_makes_is_images(self, endpoint, dollars) -> None:
        usage = {"input_tokens": 50, "output_tokens": 4_000, "total_tokens": 4_050}

        (answer,) = costs(
            block(model="gpt-image-1.5", at="2026-08-01", usage=usage, endpoint=endpoint)
        )

        assert dollars == answer["cost_usd"]

    def test_r43_a_split_goes_before_the_route(self) -> None:
        split = {"text_tokens": 1_000, "image_tokens": 3_000}
        usage = {"input_tokens": 50, "output_tokens": 4_000, "output_tokens_details": split}

        (answer,) = costs(
            block(model="gpt-image-1.5", at="2026-08-01", usage=usage, endpoint="/v1/images/edits")
        )

        assert "0.10625" == answer["cost_usd"]

    @pytest.mark.parametrize(
        ("stated", "dollars"),
        [
            ({"cost": 0.5, "is_byok": False}, "0.5"),
            ({"cost": 0, "is_byok": True}, "0.00197"),
            ({"cost": 0.00197}, "0.00197"),
            ({"cost": 0.25, "is_byok": True}, "0.25197"),
        ],
    )
    def test_r44_openrouter_costs_what_it_states(self, stated, dollars) -> None:
        """It has no cards; with a key of one's own the provider's price comes on top of its fee."""
        details = {"upstream_inference_cost": 0.00197} if stated["cost"] != 0.5 else {}
        usage = block()["usage"] | stated | {"cost_details": details}

        (answer,) = costs(block(provider="openrouter", model="lab/m", usage=usage))

        assert (dollars, "reported") == (answer["cost_usd"], answer["price_id"])

    def test_r44_a_cost_is_believed_of_openrouter_alone(self) -> None:
        """And of a model with a card it is beside the point."""
        usage = block()["usage"] | {"cost": 9}
        unstated, unknown, known = costs(
            block(provider="openrouter", model="lab/m"),
            block(model="gpt-nobodys", usage=usage),
            block(usage=usage),
        )

        assert ["unknown_model"] * 2 == [each["error"]["code"] for each in (unstated, unknown)]
        assert "0.000195" == known["cost_usd"]

    def test_a_request_costs_what_its_size_does(self) -> None:
        """Perplexity says how much of the web it read; of what it does not say, the dearest."""
        usage = {"prompt_tokens": 1_000, "completion_tokens": 500}
        sized = [usage | {"search_context_size": size} for size in ("low", "medium", "high", None)]

        found = costs(*(block(provider="perplexity", model="sonar", usage=u) for u in sized))

        assert ["0.0065", "0.0095", "0.0135", "0.0135"] == [each["cost_usd"] for each in found]

    def test_an_unreadable_input_is_the_only_fault(self, tmp_path) -> None:
        assert USAGE == run("cost", str(tmp_path / "nowhere")).exit_code
        assert (OK, "") == (run("cost", "-", input="").exit_code, run("cost", "-", input="").stdout)


class TestDiff:
    def test_what_changed_is_told_with_its_ratio(self, tmp_path) -> None:
        before = written(tmp_path, "a.json", [entry()])
        after = written(tmp_path, "b.json", [entry("1.5"), entry(model="new")])

        shown, found = run("diff", before, after), told("diff", before, after)

        assert OK == shown.exit_code
        assert "changed: lab/m@0" in shown.stdout
        assert "x1.5" in shown.stdout
        assert ["changed", "new card"] == [d["kind"] for d in found["differences"]]
        assert [{"name": "base.input", "before": "1", "after": "1.5", "ratio": 1.5}] == (
            found["differences"][0]["rates"]
        )

    @pytest.mark.parametrize("rate", ["10.1", "0.09", "0"])
    def test_r45_a_leap_exits_1_and_says_so(self, tmp_path, rate) -> None:
        before, after = (written(tmp_path, f"{r}.json", [entry(r)]) for r in ("1", rate))

        ended = run("diff", before, after)

        assert FAULT == ended.exit_code
        assert "only when they are confirmed" in ended.stdout
        assert 1 == len(told("diff", before, after)["to_confirm"])

    def test_a_config_names_the_code_that_confirms_it(self, tmp_path) -> None:
        config = settings(tmp_path, "http://x.example") | {"data_dir": str(tmp_path)}
        before = written(tmp_path, "a.yaml", config | {"prices": [entry()]})
        after = written(tmp_path, "b.yaml", config | {"prices": [entry("99")]})

        assert "prices_confirm: " in run("diff", before, after).stdout

    @pytest.mark.slow
    def test_the_shipped_book_is_its_files(self) -> None:
        folder = Path(__file__).parents[2] / "pricing" / "data"

        assert [] == told("diff", "shipped", str(folder))["differences"]

    @pytest.mark.parametrize("content", ["{", '"text"', "[1]", '[{"provider": "lab"}]'])
    def test_what_is_no_book_is_said(self, tmp_path, content) -> None:
        file = tmp_path / "book.json"
        file.write_text(content)

        ended = run("diff", "shipped", str(file))

        assert USAGE == ended.exit_code
        assert str(file) in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_book_that_is_not_there_says_what_may_stand_there(self) -> None:
        ended = run("diff", "shipped", "nowhere.yaml")

        assert (USAGE, True) == (ended.exit_code, "or shipped" in ended.stderr)


class TestLint:
    def test_the_shipped_book_is_clean(self) -> None:
        ended = run("lint")

        assert OK == ended.exit_code
        assert "0 findings" in ended.stdout

    def test_a_finding_exits_1(self, tmp_path) -> None:
        book = written(tmp_path, "a.json", [entry("9")])

        assert FAULT == run("lint", book).exit_code
        rules = {finding["rule"] for finding in told("lint", book)["findings"]}
        assert {"output-below-input", "source"} <= rules


def since() -> tuple[str, str]:
    return "--since", HOUR_AGO


@contextmanager
def without_prices(**changes: Any):
    """A gateway whose provider is in no book: every call is unpriced."""
    with gateway(account={"provider": "lab"}, **changes) as door:
        yield door


def config_of(door, name: str = "later.yaml", **changes: Any) -> str:
    """The gateway's own data, under later prices."""
    later = settings(door.folder, "http://127.0.0.1:1", redis={"url": door.store_url}, **changes)
    return written(door.folder, name, later | {"data_dir": str(door.folder)})


def priced(rate: str = "0.15", model: str = "demo-small") -> dict[str, Any]:
    return {"provider": "lab", "model": model, "base": DEMO_SMALL | {"input": rate}}


def a_call(door, customer: str, **fields: Any) -> str:
    request_id: str = door.chat(customer, **fields).headers["x-farebox-request-id"]
    door.settled(customer)
    door.logs(customer)
    return request_id


def test_r12_an_unpriced_call_is_found_priced_and_booked_once() -> None:
    """From null to its price: in the log, the balance, the analytics and the books."""
    with without_prices() as door:
        customer = a_customer()
        request_id = a_call(door, customer)
        bare, later = config_of(door, "bare.yaml"), config_of(door, prices=[priced()])
        (event,) = door.events(customer)
        usage = event.usage
        due = by_hand("demo-small", usage.input_total, usage.output_total, usage.cached_total)

        (name,) = told("unknown", "--config", bare)
        assert ("lab", "demo-small", 1, 1, [customer], None) == tuple(
            name[key]
            for key in (
                "provider",
                "model",
                "requests",
                "customers",
                "customer_identifiers",
                "priced_now",
            )
        )
        assert "lab/demo-small" in run("unknown", "--config", bare).stdout
        assert "No price was known" in run("explain", request_id, "--config", bare).stdout
        assert 1 == door.summary()["unpriced"]
        assert door.log(request_id)["cost_usd"] is None

        dry = told("rerate", *since(), "--dry-run", "--config", later)
        assert (due, 1) == (
            Decimal(dry["customers"][customer]["charge_usd"]),
            dry["total"]["unpriced_calls"],
        )
        assert 0 == door.spent(customer)

        first = told("rerate", *since(), "--config", later)
        again = told("rerate", *since(), "--config", later)
        assert (1, 0, 0) == (first["booked"], first["crossed"], again["booked"])
        assert {"right": 1} == again["left"]
        assert due == door.spent(customer)

        assert [] == told("unknown", "--config", later)
        wait_until(lambda: door.summary()["unpriced"] == 0, "the counters know")
        assert (1, float(due)) == (door.summary()["requests"], door.summary()["total_charge"])
        (adjustment,) = door.log(request_id)["adjustments"]
        assert due == Decimal(adjustment["charge_usd"])
        opened = door.log(adjustment["unique_id"])
        assert (request_id, due) == (opened["adjusts"], Decimal(opened["charge_usd"]))
        shown = run("explain", request_id, "--config", later)
        assert "charge now" in shown.stdout
        assert "adjusted by lab/demo-small@0" in shown.stdout
        verified = CliRunner().invoke(main, ["ledger", "verify", "--full", "--config", later])
        assert OK == verified.exit_code, verified.stdout


def test_r45_a_price_that_was_wrong_is_put_right_with_its_group() -> None:
    """The customer's balance, its group's, and the audit of both."""
    with gateway(groups={"team": {"period_budget": 100}}) as door:
        customer = a_customer()
        a_call(door, customer, customer_params={"group_identifier": "team"})
        before = door.spent(customer)
        doubled = [
            {
                "provider": "demo",
                "model": "demo-small",
                "base": {"input": "0.30", "cache_read": "0.15", "output": "1.20"},
            }
        ]
        later = config_of(door, prices=doubled, groups={"team": {"period_budget": 100}})

        ended = run("rerate", *since(), "--config", later)

        assert OK == ended.exit_code
        assert f"{customer} " in ended.stdout
        assert "1 were adjusted" in ended.stdout
        assert 2 * before == door.spent(customer)
        kinds = [event.kind for event in door.events(customer)]
        assert [Kind.SETTLE, Kind.ADJUST] == kinds
        partition = door.partition("group:team")
        spent = lambda: int(door.store.hget(partition.scope_account("group:team"), "spent"))  # noqa: E731
        wait_until(lambda: spent() == int(2 * before * 10**12), "the group has it, too")
        verified = CliRunner().invoke(main, ["ledger", "verify", "--full", "--config", later])
        assert OK == verified.exit_code, verified.stdout


def test_the_arithmetic_of_a_call_is_explained() -> None:
    with gateway() as door:
        customer = a_customer()
        fields = {"customer_params": {"markup_percentage": 20}}
        request_id = a_call(door, customer, **fields)
        config = config_of(door)

        shown, found = (
            run("explain", request_id, "--config", config),
            told("explain", request_id, "--config", config),
        )

        assert OK == shown.exit_code
        for part in ("rates base", "input", "0.00000015", "rounding", "markup 20 %", "charge"):
            assert part in shown.stdout
        total = sum(Decimal(item["amount"]) for item in found["line_items"])
        rounding = Decimal(found["arithmetic"]["rounding_usd"])
        assert Decimal(found["cost_usd"]) == total + rounding
        assert Decimal(found["charge_usd"]) == Decimal(found["cost_usd"]) + Decimal(
            found["arithmetic"]["markup_usd"]
        )
        missing = run("explain", "fbx_" + "0" * 32, "--config", config)
        assert (FAULT, True) == (missing.exit_code, "x-farebox-request-id" in missing.stderr)


class TestRerateRefuses:
    def test_where_there_is_no_archive(self, tmp_path) -> None:
        config = settings(tmp_path / "data", "http://x.example")
        file = written(tmp_path, "c.yaml", config | {"data_dir": str(tmp_path / "data")})

        for command in (("rerate", *since()), ("unknown",), ("explain", "x")):
            ended = run(*command, "--config", file)
            assert ended.exit_code in (FAULT, USAGE)
            assert "there is no archive" in ended.stderr

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--since", "soon"), "--since must be"),
            (("--since", "2026-02-02", "--until", "2026-02-02"), "--until must be later"),
            (("--since", "2026-02-02", "--until", "x"), "--until must be"),
            ((), "--since"),
        ],
    )
    def test_a_span_that_is_none(self, options, said, tmp_path) -> None:
        (tmp_path / "archive.sqlite3").touch()
        config = settings(tmp_path, "http://x.example") | {"data_dir": str(tmp_path)}
        file = written(tmp_path, "c.yaml", config)

        ended = run("rerate", *options, "--config", file)

        assert (USAGE, True) == (ended.exit_code, said in ended.stderr)
        if options == ("--since", "soon"):
            ended = run("unknown", *options, "--config", file)
            assert (USAGE, True) == (ended.exit_code, said in ended.stderr)


def test_the_key_of_an_app_stays_out_of_what_is_printed() -> None:
    """No command of these prints a secret of the config it was given."""
    with gateway() as door:
        config = config_of(door)
        request_id = a_call(door, a_customer())
        for command in (("explain", request_id), ("unknown",), ("show", "demo-small")):
            ended = run(*command, "--config", config)
            assert OK == ended.exit_code
            assert TOKEN not in ended.stdout + ended.stderr


class TestThePage:
    """docs/pricing.md, held against what it is about."""

    PAGE = (Path(__file__).parents[2] / "docs" / "pricing.md").read_text()

    def test_its_prices_can_be_configured(self) -> None:
        examples = re.findall(r"```yaml\n(.*?)```", self.PAGE, re.DOTALL)
        (example,) = (text for text in examples if text.startswith("prices:"))
        entries = YAML(typ="safe", pure=True).load(example)["prices"]

        book = PriceBook.load().overlaid(entries)

        rating = Rating(book)
        free = rating.known("local", "llama3", NOW_MS).price
        ours = rating.known("openai", "gpt-4o-2024-11-20", NOW_MS).price
        assert free is not None
        assert ours is not None
        assert (True, "ours/gpt-4o@2026-01-01") == (free.free, ours.id)

    def test_it_names_every_command(self) -> None:
        group = main.commands["prices"]

        named = set(re.findall(r"^\| `farebox prices (\w+)", self.PAGE, re.MULTILINE))

        assert set(group.commands) == named  # type: ignore[attr-defined]

    def test_it_names_every_code_of_an_error(self) -> None:
        source = (Path(__file__).parents[2] / "gateway/cli/prices/cost.py").read_text()
        raised = set(re.findall(r'(?:NotPriced\(|"code": )\s*"(\w+)"', source))

        assert raised
        assert {code for code in raised if f"`{code}`" not in self.PAGE} == set()


def test_a_json_book_that_says_a_thing_twice_is_none(tmp_path) -> None:
    """The last one would win without a word."""
    file = tmp_path / "book.json"
    file.write_text(json.dumps([entry()])[:-2] + ', "base": {"input": "9", "output": "9"}}]')

    for command in (("lint", str(file)), ("diff", str(file), "shipped")):
        ended = run(*command)
        assert (USAGE, True) == (ended.exit_code, "'base' stands twice" in ended.stderr)
