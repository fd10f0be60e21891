"""`docs/compatibility.md` says what is tried here, in the versions that are installed for it."""

import json
import re
import tomllib
from pathlib import Path

from tests.clients.test_clients import CLIENTS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "compatibility.md").read_text()


def test_every_client_has_a_row():
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    programs = {name: program.rpartition("/")[2] for name, program in rows}

    assert {name: client.program for name, client in CLIENTS.items()}.items() <= programs.items()


def test_the_versions_are_those_that_are_installed():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    python = [*extra["clients"], *(HERE / "programs" / "openai-2.txt").read_text().split()]
    node = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
    wanted = [each.partition("==")[2] for each in python]
    wanted += [version for name, version in node.items() if name != "zod"]

    assert [] == [version for version in wanted if version not in PAGE]


def test_the_tests_it_names_are_there():
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)

    assert named
    assert [] == [path for path in named if not (ROOT / path).exists()]


def test_the_lock_names_no_registry():
    lock = (HERE / "node" / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert "https://" not in re.sub(r'"(url|funding)": "[^"]*"', "", lock)
