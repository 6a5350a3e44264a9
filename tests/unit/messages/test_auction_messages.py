"""What the new messages say to the person who signs them, and what is refused before that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medtoken.errors import BadInput
from medtoken.messages import DUT, AuctionOffer, AuctionWithdrawal, Voucher

NOW = 1_800_000_000
OFFER = AuctionOffer(
    consent=b"\xc0" * 32,
    record=b"\x0d" * 32,
    reserve=100 * DUT,
    opens=NOW + 600,
    ends=NOW + 600 + 2 * 86_400,
    term=90 * 86_400,
    certifiedFirst=3600,
    nonce=1,
)


def test_an_offer_says_what_is_sold_and_how_it_is_taken_back() -> None:
    OFFER.check(NOW)
    assert OFFER.render().splitlines() == [
        "You auction a licence of 90 days to your record, from 2027-01-15 08:10 UTC to "
        "2027-01-17 08:10 UTC, for at least 100 DUT. Late bids move the end.",
        "Until 2027-01-15 09:10 UTC only certified bid.",
        "You can take the offer back as long as nobody has bid; afterwards only by taking back "
        "your consent, which ends every licence under it.",
        f"Record: 0x{'0d' * 32}. Consent: 0x{'c0' * 32}.",
    ]
    assert "certified" not in replace(OFFER, certifiedFirst=0).render()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"opens": NOW - 1}, "opens in the future"),
        ({"ends": OFFER.opens}, "ends within 90 days"),
        ({"ends": OFFER.opens + 90 * 86_400 + 1}, "ends within 90 days"),
        ({"certifiedFirst": 2 * 86_400}, "a part of the auction"),
        ({"certifiedFirst": -1}, "a part of the auction"),
        ({"term": 0}, "must last some time"),
        ({"reserve": 0}, "positive multiple"),
        ({"reserve": DUT + 1}, "positive multiple"),
        ({"reserve": 2**64 * 10**9}, "positive multiple"),
    ],
)
def test_what_no_house_takes_is_refused_before_signing(changes: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        replace(OFFER, **changes).check(NOW)


def test_a_withdrawal_and_a_voucher_say_what_they_do() -> None:
    assert "You take back the auction 0xabab" in AuctionWithdrawal(b"\xab" * 32).render()
    said = Voucher(b"\xab" * 32, 1234, NOW).render()
    assert "1,234 units used of the licence 0xabab" in said
    assert "until 2027-01-15 08:00 UTC" in said
