"""Forms: each part where it stands, however the bytes are cut, and no form that two could read."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidCall, UnsupportedMedia
from gateway.openai.multipart import (
    FIELD_BYTES_MAX,
    HEAD_BYTES_MAX,
    PARTS_MAX,
    FormReader,
    boundary_of,
)

BOUNDARY = b"----WebKitFormBoundary7MA4"


def part(name, content, more=b"", boundary=BOUNDARY):
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n'
    return head % (boundary, name, more) + content + b"\r\n"


def whole(*parts, boundary=BOUNDARY):
    return b"".join(parts) + b"--" + boundary + b"--\r\n"


FORM = whole(
    part(b"model", b"whisper-1"),
    part(b"file", b"\r\n--almost\r\n----WebKitFormBoundary7M\r\n\x00\xff", b'; filename="a.mp3"'),
    part(b"customer_params[customer_identifier]", "Zoë".encode()),
    part(b"empty", b""),
)


def read(body, cuts=(), boundary=BOUNDARY):
    reader = FormReader(boundary)
    for start, end in pairwise([0, *sorted(cuts), len(body)]):
        reader.feed(body[start:end])
    return reader.finish()


def test_parts_are_found_where_they_stand():
    model, file, customer, empty = parts = read(FORM)

    assert ["model", "file", "customer_params[customer_identifier]", "empty"] == [
        p.name for p in parts
    ]
    assert [b"whisper-1", None, "Zoë".encode(), b""] == [p.text for p in parts]
    assert [False, True, False, False] == [p.is_file for p in parts]
    for p in parts:
        assert FORM[p.start :].startswith(b"--" + BOUNDARY + b"\r\n")
        assert FORM[p.end :].startswith(b"--" + BOUNDARY)
        assert FORM[p.content_end :].startswith(b"\r\n--" + BOUNDARY)
    assert b"whisper-1" == FORM[model.content_start : model.content_end]
    assert FORM[file.content_start : file.content_end].endswith(b"\x00\xff")
    assert 0 == empty.size
    assert customer.start == file.end


def test_cuts_at_every_byte_change_nothing():
    expected = read(FORM)

    for at in range(len(FORM) + 1):
        assert expected == read(FORM, [at])
    assert expected == read(FORM, range(len(FORM)))


@settings(max_examples=60)
@given(st.data())
def test_any_content_comes_back(data):
    boundary = data.draw(st.sampled_from([b"x", b"--", b"a b", BOUNDARY]))
    contents = data.draw(
        st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"x", b"\xff"])).map(b"".join))
    )
    contents = [c for c in contents if b"\r\n--" + boundary not in b"\r\n" + c + b"\r\n"]
    body = whole(*(part(b"f", c, boundary=boundary) for c in contents), boundary=boundary)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    parts = read(body, cuts, boundary)

    assert contents == [p.text for p in parts]
    assert contents == [body[p.content_start : p.content_end] for p in parts]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"model=whisper-1",
        FORM[:-4],
        FORM[:-60],
        b"preamble\r\n" + FORM,
        FORM + b"epilogue",
        whole(part(b"a", b"x")).replace(b"--\r\n", b"x\r\n"),
        whole(part(b"a", b"\r\n--" + BOUNDARY + b"not\r\n")),
        whole(part(b"a", b"x").replace(b"\r\n", b"\n")),
        whole(part(b"a", b"x").replace(b"form-data", b"attachment")),
        whole(part(b"a", b"x").replace(b"Content-Disposition", b"Content-Type")),
        whole(part(b"a", b"x").replace(b' name="a"', b"")),
        whole(part(b"a", b"x", b'; name="b"')),
        whole(part(b"a", b"x", b"; name*=utf-8''b")),
        whole(part(b"a", b"x", b'; filename="q\\"; name=\\"b"')),
        whole(part(b"a\\", b"x")),
        whole(part(b"a", b"x", b"\r\nContent-Disposition: form-data; name=b")),
        whole(part(b"a", b"x", b"\r\nContent-Transfer-Encoding: base64")),
        whole(part(b"a", b"x", b"\r\n folded")),
        whole(part(b"a", b"x", b"\r\nX-Long: " + b"x" * HEAD_BYTES_MAX)),
        whole(*[part(b"a", b"x")] * (PARTS_MAX + 1)),
        b"--" + BOUNDARY + b" \r\n" + FORM,
    ],
    ids=range(22),
)
def test_what_two_could_read_differently_is_refused(body):
    with pytest.raises(InvalidCall) as refused:
        read(body)

    assert "invalid_form" == refused.value.code


@pytest.mark.parametrize(
    "more",
    [
        b'; filename="a\\b.mp3"',
        b"; filename*=utf-8''a.mp3",
        b"; filename=a.mp3\r\nContent-Type: audio/mpeg",
        b'; filename=""\r\ncontent-transfer-encoding: binary',
    ],
)
def test_files_are_known_by_their_filename(more):
    [file] = read(whole(part(b"file", b"x", more)))

    assert (True, None, 1) == (file.is_file, file.text, file.size)


def test_the_first_delimiter_may_follow_a_line_break():
    assert 1 == len(read(b"\r\n" + whole(part(b"a", b"x"))))


def test_what_is_long_is_not_kept():
    body = whole(
        part(b"long", b"x" * (FIELD_BYTES_MAX + 1)),
        *[part(b"many", b"x" * FIELD_BYTES_MAX)] * 20,
    )

    kept = [p.text for p in read(body, range(0, len(body), 65_536))]

    assert kept[0] is None
    assert 16 == sum(text is not None for text in kept)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data;charset=utf-8; BOUNDARY=abc ;x=y", b"abc"),
    ],
)
def test_the_boundary(content_type, boundary):
    assert boundary == boundary_of(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b'multipart/form-data; boundary="a\x01"',
        b'multipart/form-data; boundary="a "',
    ],
)
def test_without_one_boundary_it_is_no_form(content_type):
    with pytest.raises(UnsupportedMedia):
        boundary_of(content_type)
