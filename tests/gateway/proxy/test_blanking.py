"""Our keys in errors: blanked, wherever a text is cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.blanking import Secrets

KEYS = ("sk-abababababababab", "sk-abababababababac-longer", "short", "")
TEXT = b"no: sk-ababababababababababab, sk-abababababababac-longer sk-abab short"


@given(
    cuts=st.lists(st.integers(0, len(TEXT)), max_size=12),
    text=st.just(TEXT) | st.text("sk-ab", max_size=60).map(str.encode),
)
def test_r63_no_cut_lets_a_key_through(cuts, text):
    secrets = Secrets(KEYS)
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    blanking = secrets.blanking()

    told = b"".join(blanking.feed(text[a:b]) for a, b in pairwise(bounds)) + blanking.finish()

    assert len(text) == len(told)
    assert not any(key.encode() in told for key in KEYS[:2])
    if cuts == []:
        assert secrets.blanked(text) == told


def test_what_only_begins_like_a_key_arrives():
    blanking = Secrets(KEYS).blanking()

    assert b"sk-ab" == blanking.feed(b"sk-ab") + blanking.finish()
    assert b"" == blanking.feed(b"sk-ab")
    assert b"sk-ab, short" == blanking.feed(b", short")
