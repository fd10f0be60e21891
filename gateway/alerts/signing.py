"""Standard Webhooks: what a delivery's headers and signature are.

Source: https://www.standardwebhooks.com, specification 1.0: the signature is the HMAC-SHA256
of ``<id>.<timestamp>.<body>`` under the secret's bytes, in base64, after ``v1,``.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64


def secret_bytes(secret: str) -> bytes:
    """The key that a secret spells.

    Raises:
        ValueError: it is none; says what is expected, never what it is.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(
            f"must be {PREFIX} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64: "
            f'echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return key


def signed(key: bytes, message_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt at a delivery."""
    content = f"{message_id}.{at_seconds}.".encode() + body
    mac = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": f"v1,{mac}",
    }
