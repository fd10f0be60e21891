"""The README's first command and its first snippet, as a newcomer takes them."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import openai

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 20.0


@contextmanager
def demo(folder: Path, *args: str):
    """`farebox demo` on a free port; yields (process, its API's URL, the app token)."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gateway", "demo", "--port", "0", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            told: dict[str, str] = {}
            for line in process.stdout:
                if found := re.match(r"  (API|app token) +(\S+)", line):
                    told[found[1]] = found[2]
                if len(told) == 2:
                    break
            yield process, told["API"], told["app token"]
        finally:
            process.kill()


def test_the_readme_s_snippet_works_in_the_demo_and_ctrl_c_leaves_nothing(tmp_path):
    """Whoever copies it gets an answer, under the model name they have always used."""
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```python\n(client = OpenAI.*?)```", readme, re.DOTALL)
    assert block is not None
    snippet = textwrap.dedent(block[1]).replace("client.chat", "answer = client.chat")

    with demo(tmp_path, "--days", "1", "--customers", "2", "--no-traffic") as (process, url, token):
        names = {"OpenAI": openai.OpenAI, "FAREBOX_APP_TOKEN": token}
        exec(snippet.replace("http://127.0.0.1:8080/v1", url), names)
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(STOP_SECONDS_MAX)

    assert names["answer"].choices[0].message.content.startswith("You said: Hello")
    assert [] == list(tmp_path.iterdir())
