"""Customer tokens: what is signed is obeyed, what is not is refused, and time passes."""

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path
from shutil import which

import jwt
import pytest

from gateway.customers.apps import App, Apps
from gateway.customers.tokens import SigningKey, Tokens, mint
from gateway.errors import InvalidToken, PermissionRefused
from pricing.money import pico_usd

PAGE = Path(__file__).parents[3] / "docs" / "keys.md"
SECRET = b"0123456789abcdef0123456789abcdef"
KEY = SigningKey("k1", SECRET)
WEB = App(id="web", token_sha256="a")
JOBS = App(id="jobs", token_sha256="b")


class Time:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000

    def now_ms(self) -> int:
        return self.seconds * 1000


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def tokens(time):
    return Tokens([KEY], {"gone"}, Apps([WEB, JOBS]), time)


def signed(claims, *, secret=SECRET, header=None):
    """By hand, as any language can: the recipe of docs/keys.md and nothing of ours."""

    def part(document):
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    content = part(header or {"alg": "HS256", "kid": "k1"}) + b"." + part(claims)
    return (content + b"." + part(hmac.digest(secret, content, hashlib.sha256))).decode()


def test_all_that_a_token_says_is_obeyed(tokens, time):
    token = mint(
        KEY,
        customer="customer_1",
        until_seconds=time.seconds + 60,
        app="web",
        models=["gpt-4o-*"],
        call_pico_max=pico_usd("0.05"),
        name="t1",
    )
    assert tokens.recognises(token)
    credential = tokens.authenticate(token)
    assert (WEB, "customer_1") == (credential.app, credential.customer)
    assert pico_usd("0.05") == credential.call_pico_max
    credential.check_model("gpt-4o-mini")
    with pytest.raises(PermissionRefused, match="gpt-4o-\\*"):
        credential.check_model("o3")


def test_a_token_made_by_hand_is_as_good(tokens, time):
    credential = tokens.authenticate(
        signed({"sub": "a/b:c ✓", "exp": time.seconds + 5, "app": "jobs"})
    )
    assert (JOBS, "a/b:c ✓", None) == (
        credential.app,
        credential.customer,
        credential.call_pico_max,
    )
    credential.check_model("whatever")


@pytest.mark.skipif(which("openssl") is None, reason="needs the openssl command")
def test_the_recipe_of_the_documentation_works(tokens, time):
    """The shell lines in docs/keys.md, run as they stand there."""
    page = PAGE.read_text("utf-8")
    recipe = page.split("```bash\n# mint by hand\n")[1].split("```")[0]
    token = subprocess.run(
        ["bash", "-c", recipe],
        env={
            "PATH": "/usr/bin:/bin",
            "FAREBOX_TOKEN_SECRET": SECRET.decode(),
            "NOW": str(time.seconds),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert "customer_1" == tokens.authenticate(token).customer


def test_a_token_ends_however_often_it_was_taken(tokens, time):
    token = mint(KEY, customer="c", until_seconds=time.seconds + 60, app="web")
    tokens.authenticate(token)
    time.seconds += 89
    tokens.authenticate(token)
    time.seconds += 2
    with pytest.raises(InvalidToken) as refused:
        tokens.authenticate(token)
    assert "token_expired" == refused.value.code


def test_a_token_does_not_count_before_its_time(tokens, time):
    claims = {"sub": "c", "app": "web", "exp": time.seconds + 900, "nbf": time.seconds + 60}
    with pytest.raises(InvalidToken, match="yet"):
        tokens.authenticate(signed(claims))
    time.seconds += 60
    assert "c" == tokens.authenticate(signed(claims)).customer


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"app": "web"}, "`sub`"),
        ({"app": "web", "sub": ""}, "`sub`"),
        ({"app": "web", "sub": "~anonymous"}, "`sub`"),
        ({"app": "web", "sub": {"a": 1}}, "`sub`"),
        ({"sub": "c"}, "`app`"),
        ({"sub": "c", "app": "nobody"}, "`app`"),
        ({"sub": "c", "app": "web", "exp": None}, "`exp`"),
        ({"sub": "c", "app": "web", "exp": "tomorrow"}, "`exp`"),
        ({"sub": "c", "app": "web", "exp": True}, "`exp`"),
        ({"sub": "c", "app": "web", "models": "gpt-4o"}, "`models`"),
        ({"sub": "c", "app": "web", "models": []}, "`models`"),
        ({"sub": "c", "app": "web", "max_usd": -1}, "`max_usd`"),
        ({"sub": "c", "app": "web", "max_usd": "much"}, "`max_usd`"),
        ({"sub": "c", "app": "web", "jti": "gone"}, "revoked"),
        ({"sub": "c", "app": "web", "aud": "another service"}, "`aud`"),
        ({"sub": "c", "app": "web", "aud": ["another service"]}, "`aud`"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(tokens, time, claims, says):
    """A limit in a token is never ignored, signed though it is."""
    with pytest.raises(InvalidToken, match=says):
        tokens.authenticate(signed({"exp": time.seconds + 60} | claims))


@pytest.mark.parametrize("header", [{"alg": "none", "kid": "k1"}, {"alg": "HS256"}, {"kid": "k1"}])
def test_another_algorithm_or_no_key_is_refused(tokens, time, header):
    claims = {"sub": "c", "app": "web", "exp": time.seconds + 60}
    with pytest.raises(InvalidToken):
        tokens.authenticate(signed(claims, header=header))


def test_another_secret_another_key_and_a_changed_claim_are_refused(tokens, time):
    claims = {"sub": "c", "app": "web", "exp": time.seconds + 60}
    good = signed(claims)
    head, _, mac = good.split(".")
    other = signed({**claims, "sub": "d"}).split(".")[1]
    for token in (
        signed(claims, secret=b"x" * 32),
        signed(claims, header={"alg": "HS256", "kid": "k2"}),
        f"{head}.{other}.{mac}",
        good[:-2],
        "eyJ.eyJ.x",
        "eyJ..",
    ):
        with pytest.raises(InvalidToken) as refused:
            tokens.authenticate(token)
        assert token not in str(refused.value)


def test_no_secret_is_in_what_is_shown_of_a_key():
    assert SECRET.decode() not in repr(KEY)


def test_without_keys_no_token_is_recognised(time):
    token = jwt.encode({"sub": "c"}, SECRET, headers={"kid": "k1"})
    assert not Tokens([], (), Apps([WEB]), time).recognises(token)
