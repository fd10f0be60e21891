"""What tests/conftest.py promises, tried on a suite of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = {
    "test_one.py": """
import pytest
def test_good(): pass
def test_skips(): pytest.skip("no redis here")
@pytest.mark.xfail(strict=True)
def test_known(): assert False
@pytest.mark.slow
def test_slow(): assert False
""",
    "test_whole_file.py": "import pytest\npytest.skip('no node here', allow_module_level=True)\n",
    "pytest.ini": "[pytest]\nmarkers = slow\n",
    "conftest.py": (Path(__file__).parent / "conftest.py").read_text(),
}


@pytest.mark.parametrize(
    ("ci", "arguments", "expected"),
    [
        ("", [], "1 passed, 2 skipped, 1 deselected, 1 xfailed"),
        ("true", [], "1 failed, 1 passed, 1 deselected, 1 xfailed, 1 error"),
        ("", ["-m", "slow"], "1 failed, 1 skipped, 3 deselected"),
    ],
    ids=["elsewhere", "in CI", "slow"],
)
def test_skips_fail_in_ci_and_slow_tests_wait(tmp_path, ci, arguments, expected):
    """Elsewhere a skip is a skip."""
    for name, text in SUITE.items():
        (tmp_path / name).write_text(text)

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", *arguments],
        cwd=tmp_path,
        check=False,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )

    assert expected in ended.stdout.splitlines()[-1]
