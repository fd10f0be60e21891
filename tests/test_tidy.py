"""The code about itself: what may import what, how long a file may be, what docs must name."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "pricing")
LINES_MAX = 400

LAYERS: tuple[frozenset[str], ...] = (  # top to bottom: imports point down
    frozenset({"gateway.__main__"}),
    frozenset({"gateway.cli"}),
    frozenset({"gateway.app"}),
    # What app is wired from.
    frozenset({"gateway.background", "gateway.instruments", "gateway.past"}),
    frozenset({"gateway.parts"}),
    frozenset({"gateway.config"}),
    frozenset({"gateway.dashboard"}),
    frozenset({"gateway.proxy", "gateway.api", "gateway.demo"}),
    frozenset({"gateway.alerts", "gateway.audit", "gateway.rerate", "gateway.reports"}),
    frozenset({"gateway.metering", "gateway.ledger"}),
    frozenset({"gateway.catalog", "gateway.reload"}),
    frozenset({"gateway.arithmetic"}),
    frozenset({"gateway.customers", "gateway.rating"}),
    frozenset({"gateway.store", "gateway.openai"}),
    frozenset({"gateway.event"}),
    frozenset(
        {
            "gateway.errors",
            "gateway.clock",
            "gateway.crash",
            "gateway.telemetry",
            "gateway.version",
        }
    ),
    frozenset({"pricing"}),
)
"""Units of one layer never import each other."""

READS_CONFIG = frozenset(
    {"gateway.cli", "gateway.app", "gateway.parts", "gateway.past", "gateway.config"}
)
"""Every other part gets plain values, so that a test builds it in one line."""

NAMES_THAT_SAY_NOTHING = frozenset(
    {"utils", "util", "helpers", "common", "base", "manager", "misc"}
)


def sources() -> Iterator[tuple[str, Path]]:
    """Every module of ours, by its dotted name."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = dict(sources())


def unit_of(module: str) -> str:
    """``gateway.store.keys`` -> ``gateway.store``; all of pricing is one unit."""
    package, *rest = module.split(".")
    return package if package == "pricing" else ".".join([package, *rest[:1]])


def layer_of(module: str) -> int:
    found = [depth for depth, layer in enumerate(LAYERS) if unit_of(module) in layer]
    assert found, f"{module} has no place: add {unit_of(module)} to LAYERS"
    return found[0]


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of ours that `module` imports, anywhere in it but for type checking."""
    tree = tree_of(module)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full"
            origin = node.module or ""
            # `from package import module` is an import of the module.
            inner = {f"{origin}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {origin}
    return frozenset(found & MODULES.keys())


def test_imports_point_down():
    """As drawn in docs/architecture.md."""
    wrong = [
        f"{module} imports {name}"
        for module in MODULES
        if module not in PACKAGES
        for name in imports_of(module)
        if unit_of(name) != unit_of(module) and layer_of(name) <= layer_of(module)
    ]

    assert [] == wrong


def test_imports_make_no_circle():
    """Within a unit, too."""
    graph = {module: imports_of(module) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" -> ".join(exc.args[1]))


def test_the_configuration_is_read_at_the_top_only():
    readers = {
        unit_of(module)
        for module in MODULES
        if any(unit_of(name) == "gateway.config" for name in imports_of(module))
    }

    assert readers <= READS_CONFIG


@pytest.mark.parametrize("package", ["gateway.openai"])
def test_the_wire_does_no_io(package):
    """Each provider quirk is a test of bytes in, value out."""
    wrong = [
        f"{module}: {name}"
        for module, file in MODULES.items()
        if module.startswith(package)
        for name in re.findall(r"^(?:import|from) (\w+)", file.read_text(), re.MULTILINE)
        if name in {"asyncio", "httpx", "httptools", "redis", "socket", "sqlalchemy", "uvicorn"}
    ]

    assert [] == wrong


def test_no_module_is_long():
    long = {
        module: lines
        for module, file in MODULES.items()
        if (lines := len(file.read_text().splitlines())) > LINES_MAX
    }

    assert {} == long


def test_every_module_says_its_idea_first():
    silent = [
        module
        for module, file in MODULES.items()
        if file.read_text().strip() and not ast.get_docstring(tree_of(module))
    ]

    assert [] == silent


def test_no_module_is_called_after_nothing():
    vague = {part for module in MODULES for part in module.split(".")} & NAMES_THAT_SAY_NOTHING

    assert set() == vague


def test_no_middleware_that_buffers():
    """Starlette's BaseHTTPMiddleware takes streams apart and costs on every call."""
    assert [] == [m for m, file in MODULES.items() if "BaseHTTPMiddleware" in file.read_text()]


def test_importing_does_no_work():
    """No socket, no thread, no process, no file written, by importing all there is."""
    program = """
import sys
refused = ("socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove")
def watch(event, arguments):
    if event in refused:
        raise SystemExit(f"an import did {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"an import wrote {arguments}")
import importlib, threading
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for module in sys.argv[1:]:
    importlib.import_module(module)
if threading.active_count() > 1:
    raise SystemExit(f"an import started {threading.enumerate()}")
"""
    names = [module for module in MODULES if module != "gateway.__main__"]

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *names],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (ended.returncode, ended.stderr)


def test_every_key_is_documented():
    """docs/redis-keys.md names each entry of gateway/store/keys.py, and no other."""
    from gateway.store.keys import KEYS

    page = (ROOT / "docs" / "redis-keys.md").read_text()
    rows = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)

    assert sorted(key.name for key in KEYS) == sorted(rows)


def test_the_readme_has_the_two_commands():
    """As they stand; .ci/run reads the second from here."""
    demo, test = re.findall(
        r"^(python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )

    assert "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/farebox demo" == demo
    assert (
        "python3 -m venv .venv && .venv/bin/pip install -q '.[test]' && .venv/bin/pytest -q"
    ) == test


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions, continued lines joined: (name, rest)."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_is_built_from_what_is_there():
    """Every COPY has its source, and none of them is kept out by .dockerignore."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [rest for name, rest in dockerfile() if name == "COPY" and "--from" not in rest]
    origins = [origin for rest in copied for origin in rest.split()[:-1]]

    assert origins
    for origin in origins:
        assert (ROOT / origin).exists(), origin
        assert origin.rstrip("/") not in ignored
    for needed in re.findall(r'"?/?(README\.md|config\.example\.yaml)"? ?=', PYPROJECT):
        assert needed in origins, f"pip install . needs {needed}"


PYPROJECT = (ROOT / "pyproject.toml").read_text()


def test_the_image_runs_what_works_here():
    """The command installed, unprivileged, with a health check on a route that exists."""
    steps = dockerfile()
    named = dict(steps)

    assert [
        rest for name, rest in steps if name == "RUN" and re.search(r"pip install .* \.$", rest)
    ]
    assert 'ENTRYPOINT ["farebox"]' == f"ENTRYPOINT {named['ENTRYPOINT']}"
    assert named["CMD"].startswith('["serve"')
    assert "root" not in named["USER"]
    assert "/livez" in named["HEALTHCHECK"]
    assert [] == [rest for name, rest in steps if name == "FROM" and ":" not in rest]
    instructions = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "VOLUME"}
    assert {name for name, _ in steps} <= instructions | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


def test_scripts_are_valid_bash():
    ended = subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False, capture_output=True)

    assert (0, b"") == (ended.returncode, ended.stderr)
