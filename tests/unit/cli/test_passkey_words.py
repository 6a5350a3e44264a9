"""What people hand to ``medtoken passkey`` and ``licence request`` is read exactly or refused (R10)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medtoken.chain.contracts import Order
from medtoken.chain.passkeys import Passkeys, Request
from medtoken.cli.passkey import _answer
from medtoken.errors import BadInput
from medtoken.passkeys import relying_party

ONE, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
ORDER = Order(
    record=bytes(32),
    form=1,
    units=0,
    end=2_000_000_000,
    purposes=2,
    diseases=bytes(32),
    urgent=False,
    maxPrice=1,
    agreement=bytes(32),
    salt=7,
)


class Asked(Passkeys):
    """The same order by two licensees, the first of whom overtook the other."""

    def __init__(self) -> None:
        """No chain is needed."""

    def requests(self, consent: bytes) -> list[Request]:
        """As the chain would tell them."""
        return [Request(consent, who, ORDER, 1) for who in (OTHER, ONE)]


def test_a_licensee_finds_its_own_request() -> None:
    asked = Asked()
    assert [asked.number_of(bytes(32), who, ORDER) for who in (OTHER, ONE)] == [1, 2]
    with pytest.raises(BadInput, match="asked for no such licence"):
        asked.number_of(bytes(32), "0x" + "33" * 20, ORDER)


@pytest.mark.parametrize(
    "host", ["localhost", "records.example", "a.de", "xn--fa-hia.de", "a" * 63 + ".b", "1.a-b"]
)
def test_a_bare_host_is_hashed_as_it_is(host: str) -> None:
    assert relying_party(host) == hashlib.sha256(host.encode()).digest()


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            ".",
            "a.",
            ".a",
            "ü..a",
            "xn--ü.a",
            "fa\u00df.de",
            "A.de",
            "-a.de",
            "a-.de",
            "a_b.de",
        ),
        *("https://x", "x:443", "x/", " x", "x\n", "a" * 64, "a" * 70 + ".de", "a." * 127 + "de"),
    ],
)
def test_no_other_site_is_taken(host: str) -> None:
    with pytest.raises(BadInput, match="bare host name in lower-case ASCII"):
        relying_party(host)


@pytest.mark.parametrize("text", ["[" * 60_000, '{"a":' * 10_000 + "1" + "}" * 10_000])
def test_an_answer_nested_too_deep_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answer.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="no answer of a passkey"):
        _answer(path)
