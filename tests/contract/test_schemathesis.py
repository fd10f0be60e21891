"""Whatever the description allows is answered as it says: schemathesis against a real gateway."""

import os
import subprocess
import sys

import pytest

from tests.support.gateways import ADMIN_KEY, gateway

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "8")


def test_management_answers_as_described(tmp_path):
    """Fuzzed by the schema: no 5xx, no status and no field that is not in it."""
    pytest.importorskip("schemathesis", reason="pip install '.[contract]'")
    with gateway() as door:
        for n in range(3):
            user = {"customer_identifier": f"customer_{n}", "period_budget": 10}
            door.api.post("/api/users/", json=user)
            door.chat(f"customer_{n}")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{door.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {ADMIN_KEY}"),
                *("--include-path-regex", "^/(api|livez|openapi)"),
                *("--checks", ",".join(CHECKS), "--max-examples", EXAMPLES),
                *("--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"),
                "--suppress-health-check=all",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "NO_PROXY": "*"},
            timeout=240,
            check=False,
        )
    assert 0 == ran.returncode, ran.stdout[-20_000:] + ran.stderr[-2_000:]
