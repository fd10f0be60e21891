"""Multipart forms by hand, so that a test knows every byte of them."""

BOUNDARY = "farebox-boundary"
MEDIA = f"multipart/form-data; boundary={BOUNDARY}"
SOUND = b"ID3\x00\r\n--farebox\r\n\xff" * 3_000


def field(name, value):
    content = value if isinstance(value, bytes) else value.encode()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def file(content=SOUND, name="file"):
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.mp3"\r\n'
        "Content-Type: audio/mpeg\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def customer_fields(customer, **more):
    named = {"customer_identifier": customer, **more}
    return b"".join(field(f"customer_params[{name}]", value) for name, value in named.items())
