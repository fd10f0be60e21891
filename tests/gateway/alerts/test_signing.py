"""What we sign, the receivers' own library takes; and nothing else."""

import base64
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.alerts.signing import secret_bytes, signed

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
BODY = '{"type":"budget.threshold","data":{"name":"Zoë ✓"}}'.encode()


def test_the_receivers_library_takes_it():
    headers = signed(secret_bytes(SECRET), "msg_1", int(time.time()), BODY)
    assert "budget.threshold" == Webhook(SECRET).verify(BODY, headers)["type"]


def test_another_body_id_or_secret_is_not_taken():
    headers = signed(secret_bytes(SECRET), "msg_1", int(time.time()), BODY)
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    for secret, body, changed in (
        (other, BODY, {}),
        (SECRET, BODY + b" ", {}),
        (SECRET, BODY, {"webhook-id": "msg_2"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, {**headers, **changed})


@pytest.mark.parametrize("wrong", ["", "hunter2", "whsec_", "whsec_hunter2!", "whsec_aHVudGVyMg=="])
def test_what_is_no_secret_is_refused_and_not_repeated(wrong):
    with pytest.raises(ValueError, match="openssl rand") as refused:
        secret_bytes(wrong)
    assert "hunter2" not in str(refused.value)
