"""The scripts: exact on money, honest about their keys, and old enough for Redis 7.0."""

import re
from importlib.resources import files

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store import keys, scripts
from gateway.store.keys import KEYS
from tests.support.ledgers import bench

FOLDER = files(scripts)
SOURCES = {name: (FOLDER / f"{name}.lua").read_text() for name in scripts.VERBS}
LIBRARY = {
    file.name.removesuffix(".lua"): file.read_text()
    for file in (FOLDER / "lib").iterdir()
    if file.name.endswith(".lua")
}
READ_ONLY = {"backlog", "page", "snapshot"}
RUN_WHEN_FULL = {
    "adjust",
    "apply",
    "delete",
    "expire",
    "index",
    "lease",
    "mark",
    "release",
    "renew",
    "restore",
    "scope_apply",
    "scope_expire",
    "settle",
    "tally",
    "trim",
    "written",
}
BOUNDARIES = [
    sign * (base + near)
    for base in (0, 10**13, 10**14, 10**15, 2**31, 2**53, 2**62, 2**63, 2**64, 10**26)
    for near in (-2, -1, 0, 1, 2)
    for sign in (1, -1)
]
amounts = st.one_of(
    st.sampled_from(BOUNDARIES),
    st.integers(-(2**64), 2**64),
    st.integers(-(10**10), 10**10),
    st.integers(-(10**27), 10**27),
    st.builds(lambda limbs, low: limbs * 10**14 + low, st.integers(-50, 50), st.integers(-2, 2)),
)
shares = st.integers(1, 64)

CALCULATOR = f"""
{LIBRARY["limbs"]}
{LIBRARY["shares"]}
local answers = {{}}
local function part(a, n)
    local high, low = limbs(a)
    return to_text(share_of(high, low, n))
end
for i = 1, #ARGV, 3 do
    local a, b = ARGV[i], ARGV[i + 1]
    answers[#answers + 1] = plus(a, b)
    answers[#answers + 1] = minus(a, b)
    answers[#answers + 1] = less(a, b) and '1' or '0'
    answers[#answers + 1] = negated(a)
    answers[#answers + 1] = less(a, '0') and '0' or part(a, tonumber(ARGV[i + 2]))
end
return answers
"""


@pytest.fixture(scope="module")
def calculate(store_server: str):
    with redis.Redis.from_url(store_server, decode_responses=True) as client:
        calculator = client.register_script(CALCULATOR)
        yield lambda rows: calculator(args=[str(n) for row in rows for n in row])


def expected(rows: list[tuple[int, int, int]]) -> list[str]:
    return [
        str(number) for a, b, n in rows for number in (a + b, a - b, int(a < b), -a, max(0, a) // n)
    ]


def test_limbs_are_exact_at_every_boundary(calculate) -> None:
    """Each with each: around 0, each limb's end, 2^53, 2^63, and far beyond."""
    for a in BOUNDARIES:
        rows = [(a, b, 2) for b in BOUNDARIES]
        assert expected(rows) == calculate(rows)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(amounts, amounts, shares), min_size=1, max_size=60))
def test_limbs_are_python_ints(calculate, rows: list[tuple[int, int, int]]) -> None:
    """plus, minus, less, negated and share_of, for 28 digits and whatever is less."""
    assert expected(rows) == calculate(rows)


def test_the_trap_that_limbs_are_there_for(calculate, url: str) -> None:
    """A Lua number loses a unit above 2^53, HINCRBY's reply in Lua is one, and -0 is no number."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        lost = "redis.call('HSET', KEYS[1], 'x', ARGV[1]) "
        lost += "return string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'x', 1))"
        assert str(2**53) == client.eval(lost, 1, "k", str(2**53))
        assert str(2**53 + 1) == client.hget("k", "x")
        with pytest.raises(redis.ResponseError):
            client.execute_command("HINCRBY", "k", "x", "-0")
    assert "0" == calculate([(0, 0, 1)])[3]


@pytest.mark.parametrize("name", [*SOURCES, *LIBRARY])
def test_no_script_reads_money_from_a_lua_number(name: str) -> None:
    """HINCRBY's reply is never used: what is needed is read as text."""
    source = {**SOURCES, **LIBRARY}[name]
    used = re.findall(r"(?:=|return|\(|,|and|or)\s*redis\.call\('H?INCRBY'", source)
    assert [] == used


def declared(source: str, what: str) -> set[str]:
    return set(re.findall(rf"{what}\[(\d+(?:\.\.)?)\]", header(source)))


def header(source: str) -> str:
    return "".join(
        line for line in source.splitlines(keepends=True)[1:] if line.startswith("--")
    ).split("--@include", 1)[0]


def body(source: str) -> str:
    lines = source.splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith(("--", "#!")))


def test_the_verbs_are_the_files() -> None:
    """None is forgotten, none is loaded that is not there."""
    there = {f.name.removesuffix(".lua") for f in FOLDER.iterdir() if f.name.endswith(".lua")}
    assert there == set(scripts.VERBS) == set(scripts.load_all())


@pytest.mark.parametrize("name", SOURCES)
def test_a_script_declares_its_keys_and_arguments(name: str) -> None:
    """Each index in the code stands in the header, and the other way round."""
    source = SOURCES[name]
    assert header(source).startswith(f"-- {name}.lua: ")
    for what in ("KEYS", "ARGV"):
        named = declared(source, what)
        single = {int(i) for i in named if not i.endswith("..")}
        rest = [int(i.removesuffix("..")) for i in named if i.endswith("..")]
        used = {int(i) for i in re.findall(rf"{what}\[(\d+)\]", body(source))}
        assert used <= single, what
        assert single - used <= {i for i in single if rest and i >= min(rest)}
        assert list(range(1, len(single) + 1)) == sorted(single)
        assert rest in ([], [len(single) + 1])
        if not rest:
            assert f"#{what}" not in body(scripts.load(name).source)


@pytest.mark.parametrize("name", SOURCES)
def test_a_script_touches_only_the_keys_it_was_given(name: str) -> None:
    """No key is spelled or put together in Lua: a cluster would send it elsewhere."""
    source = body(scripts.load(name).source)
    assert [] == re.findall(r"redis\.call\('\w+',\s*'[^']*'", source)
    assert [] == re.findall(r"redis\.call\('\w+',[^,)]*\.\.", source)
    documented = {(spec.name, spec.type) for spec in KEYS}
    described = re.findall(r"KEYS\[[\d.]+\]\s+(\{\w+\}\S+)\s+(\w+)", header(SOURCES[name]))
    assert {pair for pair in described if pair not in documented} == set()
    assert described


@pytest.mark.parametrize("name", SOURCES)
def test_a_script_says_what_it_returns(name: str) -> None:
    """Each outcome by number and name, as the code has them."""
    source = SOURCES[name]
    if "Returns the number" in header(source) or name in READ_ONLY:
        return
    outcomes = re.search(r"^local ([A-Z_, ]+) = ([\d, ]+)$", body(source), re.MULTILINE)
    assert outcomes is not None
    names, numbers = outcomes[1].split(", "), outcomes[2].split(", ")
    for outcome, number in zip(names, numbers, strict=True):
        assert re.search(rf"\b{number},? (or )?{outcome}\b", header(source)), outcome


@pytest.mark.parametrize("name", SOURCES)
def test_what_ends_a_hold_runs_when_memory_is_full(name: str) -> None:
    """Only what lets calls in, or makes customers, is refused then."""
    flags = SOURCES[name].splitlines()[0]
    expected = "#!lua flags=allow-oom" if name in RUN_WHEN_FULL else "#!lua"
    assert ("#!lua flags=no-writes" if name in READ_ONLY else expected) == flags


@pytest.mark.parametrize("name", SOURCES)
def test_includes_are_there_before_they_are_used(name: str) -> None:
    """Lua sees a local function only from its definition on; nothing is included in vain."""
    source = scripts.load(name).source
    assert "--@include" not in source
    included = re.findall(r"^ *--@include (\w+)$", SOURCES[name], re.MULTILINE)
    assert set(included) <= set(LIBRARY)
    defined = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert len(defined) == len(set(defined))
    for function in defined:
        first = re.search(rf"(?<!function )(?<![.\w]){function}\(", body(source))
        if first is not None:
            assert first.start() > body(source).index(f"local function {function}")
    for part in included:
        offered = re.findall(r"^local (?:function )?(\w+)", LIBRARY[part], re.MULTILINE)
        others = source.replace(LIBRARY[part], "")
        assert any(re.search(rf"\b{one}\b", others) for one in offered), part


def test_every_library_is_included_somewhere() -> None:
    """What nobody includes is no longer tested by anybody."""
    everything = "".join(SOURCES.values())
    assert [] == [name for name in LIBRARY if f"--@include {name}\n" not in everything]


@pytest.mark.anyio
async def test_commands_are_known_to_redis_7_0(url: str) -> None:
    """The floor: none came with a later version, by the servers' own word."""
    source = "".join([*SOURCES.values(), *LIBRARY.values()])
    used = sorted(set(re.findall(r"redis\.call\('(\w+)'", source)))
    async with bench(url) as b:
        reply = await b.command("COMMAND", "DOCS", *used)
    docs = dict(zip(reply[::2], reply[1::2], strict=True))
    for command in used:
        facts = docs[command.lower().encode()]
        since = facts[facts.index(b"since") + 1].decode()
        assert (7, 0, 0) >= tuple(int(part) for part in since.split(".")), command


@pytest.mark.parametrize("name", SOURCES)
def test_a_script_decides_first_and_writes_last(name: str) -> None:
    """Redis does not roll back: after the first write no outcome is left to be decided."""
    main = body(SOURCES[name])
    writes = [
        main.index(w)
        for w in (
            "upsert(",
            "book(",
            "take_off(",
            "remember_end(",
            "post(",
            "'HSET'",
            "'ZADD'",
            "'SET'",
            "'DEL'",
        )
        if w in main and "local function " + w not in main
    ]
    outcomes = [
        m.start()
        for m in re.finditer(
            r"return \{?(POLICY|STALE|CONFLICT|GONE|NOT_DUE|MOVED|OTHERS|TOO_OLD)", main
        )
    ]
    assert not outcomes or max(outcomes) < min(writes)


def test_lifetimes_in_lua_are_those_of_python() -> None:
    """Stated twice, since Lua cannot import; equal all the same."""
    found = re.search(r"TOMBSTONE_SECONDS = (\d+), (\d+)", LIBRARY["finish"])
    assert found is not None
    assert (keys.TOO_OLD_SECONDS, keys.TOMBSTONE_SECONDS) == (int(found[1]), int(found[2]))


@pytest.mark.parametrize("name", scripts.VERBS)
def test_a_scripts_sha_is_the_servers(name: str, url: str) -> None:
    """Else every call would be a NOSCRIPT and a reload."""
    script = scripts.load(name)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert script.sha == client.script_load(script.source)
