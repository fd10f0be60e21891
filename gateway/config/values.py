"""The kinds of values a setting can have, each with the message of its refusal.

A value that came from ``${NAME}`` is a string, so numbers and switches are accepted in
their plain spelling too; nothing else is converted (``on`` is not true, 1 is not true).
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from gateway.alerts.signing import secret_bytes
from gateway.config.faults import did_you_mean
from gateway.customers import fields
from gateway.customers.tokens import SECRET_BYTES_MIN
from gateway.store import address
from gateway.store.archive.database import check_url
from pricing.book import PriceBook
from pricing.money import femto_per_token, pico_usd
from pricing.names import NAME_CHARS_MAX

USD_MAX = 9_000_000
"""A counter of pico-dollars holds 9.22 million; see pricing/money.py."""
MARKUP_PERCENT_MAX = 100_000
SECONDS_MAX = 86_400

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,512}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
_OWN_HEADERS: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}
)


def refusal(message: str, *at: str | int) -> PydanticCustomError:
    """A validation error whose place is `at`, below the value being validated."""
    return PydanticCustomError("refused", "{text}", {"text": message, "at": at})


def overlay(entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Prices as the price book takes them; what it would refuse is refused here."""
    plain = tuple(_spelled_out(entry) for entry in entries)
    for index, entry in enumerate(plain):
        try:
            PriceBook([], "").overlaid([entry])
        except ValueError as exc:
            # Its messages end with the value, which no message of ours has.
            message = re.sub(r", not .*", "", str(exc), flags=re.DOTALL)
            raise refusal(message.removeprefix("prices[0]").lstrip(".: "), index) from None
    return plain


def _spelled_out(part: Any) -> Any:
    """Decimals as strings, all the way down: how the price book's files have them."""
    if isinstance(part, Mapping):
        return {key: _spelled_out(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return tuple(_spelled_out(item) for item in part)
    return str(part) if isinstance(part, (Decimal, float)) else part


def group_identifiers(groups: Mapping[str, Any]) -> Mapping[str, Any]:
    """Groups as calls name them: the spelling of a key is made the one of `group_identifier`."""
    named: dict[str, Any] = {}
    for key, group in groups.items():
        try:
            identifier = fields.identifier(key)
        except ValueError as exc:
            raise refusal(f"is no group identifier: it {exc}", key) from None
        if identifier in named:
            raise refusal("is there twice, in two spellings", key)
        named[identifier] = group
    return named


def listening(value: str | None) -> str | None:
    """An address and a port, like ``127.0.0.1:8081`` or ``[::1]:8081``; '' and null: none."""
    if not value:
        return None
    host, _, port = value.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
    if not host or not 0 < number < 65_536:
        raise refusal("must be an address and a port, like 127.0.0.1:8081")
    return value


def whole(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal("must be a whole number")
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise refusal("must be true or false")
    return value


def _number(value: Any) -> Decimal:
    kind = 'must be a number, like 10 or "0.25"'
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise refusal(kind)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise refusal(kind) from None
    if not number.is_finite():
        raise refusal("must be a finite number")
    return number


def _amount(value: Decimal) -> Decimal:
    if not 0 <= value <= USD_MAX:
        raise refusal(f"must be from 0 to {USD_MAX:,} USD")
    try:
        pico_usd(value)
    except ValueError:
        raise refusal("has more than 12 decimals of a dollar") from None
    return value


def _rate(value: Decimal) -> Decimal:
    if not 0 <= value <= USD_MAX:
        raise refusal("must be a price of 0 or more, in USD per million tokens")
    try:
        femto_per_token(value)
    except ValueError:
        raise refusal("has more than 9 decimals of a dollar per million tokens") from None
    return value


def _markup(value: Decimal) -> Decimal:
    if not 0 <= value <= MARKUP_PERCENT_MAX:
        raise refusal(f"must be from 0 to {MARKUP_PERCENT_MAX:,} percent")
    if value != value.quantize(Decimal("0.0001")):
        raise refusal("may have at most 4 decimals of a percent")
    return value


def _seconds(value: Decimal) -> float:
    if not 0 < value <= SECONDS_MAX:
        raise refusal(f"must be more than 0 and at most {SECONDS_MAX:,} seconds")
    return float(value)


def _zone(value: str) -> str:
    zones = available_timezones()
    if value not in zones:
        raise refusal(f"is not an IANA time zone{did_you_mean(value, zones)}")
    return value


def _moment(value: Any) -> str:
    try:
        return fields.moment(value)
    except ValueError as exc:
        raise refusal(str(exc)) from None


def _base_url(value: str) -> str:
    if "?" in value or "#" in value:
        raise refusal('must end with its path, like "https://api.openai.com/v1"; see `query`')
    kind = 'must be an http(s) URL, like "https://api.openai.com/v1"'
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise refusal(kind) from None
    if not usable or not _TOKEN.fullmatch(value):
        raise refusal(kind)
    if parts.username is not None or parts.password is not None:
        raise refusal("must not contain a user or password: use api_key or headers")
    if value.endswith("/"):
        raise refusal("must not end with a slash: remove it")
    if set("{}") & set(parts.netloc + parts.path.replace("{model}", "")):
        raise refusal("may have {model} in its path, and no other braces")
    return value


def _origin(value: str) -> str:
    kind = 'must be an origin, like "https://app.example.com", or "*"'
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise refusal(kind) from None
    if value == "*":
        return value
    if not usable or value != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise refusal(kind)
    return value.lower()


def _signing_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < SECRET_BYTES_MIN:
        raise refusal(f"must have at least {SECRET_BYTES_MIN} bytes: openssl rand -hex 32")
    return value


def _webhook_url(value: str) -> str:
    kind = 'must be an http(s) URL, like "https://hooks.example.com/farebox"'
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise refusal(kind) from None
    if not usable or not _TOKEN.fullmatch(value) or "#" in value:
        raise refusal(kind)
    if parts.username is not None or parts.password is not None:
        raise refusal("must not contain a user or password: deliveries are signed")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    try:
        secret_bytes(value.get_secret_value())
    except ValueError as exc:
        raise refusal(str(exc)) from None
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    text = value.get_secret_value() if value else ""
    if not text:
        return None
    try:
        address.parse(text)
    except ValueError as exc:  # it names no part of the URL that may be secret
        raise refusal(str(exc)) from None
    return SecretStr(text)


def _archive_url(value: SecretStr | None) -> SecretStr | None:
    text = value.get_secret_value() if value else ""
    if not text:
        return None
    try:
        check_url(text)
    except ValueError as exc:  # it names no part of the URL that may be secret
        raise refusal(str(exc)) from None
    return SecretStr(text)


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise refusal("is empty")
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise refusal("must be 1 to 512 printable ASCII characters without spaces")
    return value


def _headers(value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, content in value.items():
        if not _HEADER_NAME.fullmatch(name):
            raise refusal("is not a legal header name", name)
        if name.lower() in _OWN_HEADERS:
            raise refusal("is set by the gateway itself: remove it", name)
        if not _HEADER_VALUE.fullmatch(content.get_secret_value()):
            raise refusal("must be printable ASCII on one line", name)
    return value


def _slug(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise refusal("must be 1 to 64 letters, digits, dots, dashes or underscores")
    return value


def _customer_prefix(value: str) -> str:
    if len(value) > 64 or value.startswith("~") or not value.isprintable():
        raise refusal("must be at most 64 printable characters, the first not ~")
    return value


def _token_sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise refusal("must be 64 hexadecimal digits: the SHA-256 of the token")
    return value.lower()


def _model_name(value: str) -> str:
    if not 0 < len(value) <= NAME_CHARS_MAX or not value.isprintable():
        raise refusal(f"must be 1 to {NAME_CHARS_MAX} printable characters")
    return value


Whole = Annotated[int, BeforeValidator(whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Number = Annotated[Decimal, BeforeValidator(_number)]
Usd = Annotated[Number, AfterValidator(_amount)]
UsdPerMillion = Annotated[Number, AfterValidator(_rate)]
Percent = Annotated[Number, AfterValidator(_markup)]
Seconds = Annotated[float, BeforeValidator(lambda value: _seconds(_number(value)))]
Moment = Annotated[str, BeforeValidator(_moment)]
Zone = Annotated[str, AfterValidator(_zone)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
RedisUrl = Annotated[SecretStr | None, AfterValidator(_redis_url)]
ArchiveUrl = Annotated[SecretStr | None, AfterValidator(_archive_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Origin = Annotated[str, AfterValidator(_origin)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
Headers = Annotated[Mapping[str, SecretStr], AfterValidator(_headers)]
TokenSha256 = Annotated[str, AfterValidator(_token_sha256)]
Slug = Annotated[str, AfterValidator(_slug)]
CustomerPrefix = Annotated[str, AfterValidator(_customer_prefix)]
Scope = Annotated[str, AfterValidator(str.lower)]
ModelName = Annotated[str, AfterValidator(_model_name)]
Glob = Annotated[str, Field(min_length=1, max_length=256)]
