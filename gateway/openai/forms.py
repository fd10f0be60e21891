"""Forms: a multipart body as a document, and as what is forwarded of it.

Values are strings, and what was attached is its size. Our fields are cut out as they stand,
each with the delimiter before it; of all else no byte changes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.errors import InvalidCall
from gateway.openai.body import Edit
from gateway.openai.carriers import KEPT_CARRIERS, CustomerFields, over
from gateway.openai.content import Content, Stored
from gateway.openai.flat_carriers import Path, fields_of, own_path, text_of
from gateway.openai.multipart import FIELD_BYTES_MAX, Part

_NUMBERS: Final = frozenset({"n", "partial_images"})
_FLAGS: Final = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class Attached(NamedTuple):
    """A file that came with a call."""

    size_bytes: int


def attached(document: Mapping[str, Any]) -> list[Attached]:
    """Every file, in whatever field."""
    found = []
    for value in document.values():
        several = value if isinstance(value, list) else (value,)
        found += [one for one in several if isinstance(one, Attached)]
    return found


@dataclass(frozen=True, slots=True)
class Form:
    """A form that lies somewhere, taken apart.

    Attributes:
        document: What the provider is told; a field that stands several times is a list.
        customer_fields: What is said to us.
        start: Where its first delimiter stands.
    """

    document: Mapping[str, Any] = field(repr=False)
    customer_fields: CustomerFields = field(repr=False)
    stored: Stored = field(repr=False)
    cuts: tuple[Edit, ...] = field(repr=False)
    model: Part | None = field(repr=False)
    boundary: bytes
    start: int

    @property
    def sent_bytes(self) -> int:
        return self.stored.size - sum(edit.end - edit.start for edit in self.cuts)

    def forwarded(self, model: str | None) -> Content:
        """The caller's bytes without our fields.

        Args:
            model: The upstream's name for the model, where it differs from the caller's.
        """
        edits = list(self.cuts)
        if model is not None:
            edits.append(self._naming(model.encode()))
        return self.stored.edited(edits)

    def _naming(self, model: bytes) -> Edit:
        if self.model is not None:
            return Edit(self.model.content_start, self.model.content_end, model)
        head = b'\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
        part = b"--" + self.boundary + head + model + b"\r\n"
        return Edit(self.start, self.start, part)


def taken_apart(parts: Sequence[Part], stored: Stored, boundary: bytes) -> Form:
    """Tell what is ours from what is the provider's.

    Raises:
        InvalidCall: a field of ours is too long, no UTF-8, or said twice, differently.
    """
    ours: list[tuple[Path, str]] = []
    cuts: list[Edit] = []
    document: dict[str, Any] = {}
    model = None
    for part in parts:
        path = own_path(part.name)
        if path is not None:
            ours.append((path, text_of(path, _kept(part))))
            cuts.append(Edit(part.start, part.end, b""))
            continue
        if part.name == "model":
            model = part
        _add(document, part.name, _value(part))
    named = {name: value for name in KEPT_CARRIERS if isinstance(value := document.get(name), str)}
    return Form(
        document=document,
        customer_fields=over(fields_of(ours), CustomerFields(**named)),
        stored=stored,
        cuts=tuple(cuts),
        model=model,
        boundary=boundary,
        start=parts[0].start if parts else 0,
    )


def said_twice(form: Form) -> Iterable[str]:
    """The names of the fields that stand several times."""
    return (name for name, value in form.document.items() if isinstance(value, list))


def _value(part: Part) -> Any:
    if part.is_file or part.text is None:
        return Attached(part.size)
    text = part.text.decode("utf-8", "surrogateescape")
    if part.name == "stream":
        return _FLAGS.get(text, text)
    return int(text) if part.name in _NUMBERS and _WHOLE.fullmatch(text) else text


def _add(document: dict[str, Any], name: str, value: Any) -> None:
    if name in document:
        there = document[name]
        value = [*there, value] if isinstance(there, list) else [there, value]
    document[name] = value


def _kept(part: Part) -> bytes:
    if part.text is None:
        raise InvalidCall(
            f"`{part.name[:200]}` must be a plain field of at most {FIELD_BYTES_MAX:,} bytes.",
            param=part.name[:200],
        )
    return part.text
