"""R9: every message says in sentences what signing it means, whatever it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken import vocabulary
from medtoken.messages import (
    Consent,
    CopyDestruction,
    Donation,
    Redemption,
    Referral,
    Revocation,
    StorageWitness,
    Voucher,
    Withdrawal,
)

DUT = 10**18
PATIENT = "0x4fE63778E7162489E1fbE170E9E7A3e9E27e887c"

TYPICAL = Consent(
    patient=PATIENT,
    records=b"\xab" * 32,
    purposes=vocabulary.duo_mask(["HMB", "NCU"]),
    diseases=bytes(32),
    licensees=vocabulary.group_mask(["research", "pharma"]),
    fields=vocabulary.profile_hash("de-identified"),
    region=158,
    tier=2,
    patientShare=7500,
    floorPrice=50 * DUT,
    expiry=1_831_536_000,
    nonce=1,
    deadline=1_800_003_600,
)

ENDING = (
    "You can take this back at any time with one signature; every later use then stops. "
    "What was already released cannot be called back.\n"
    "Record or set of records: 0x" + "ab" * 32 + "."
)


def test_a_typical_consent() -> None:
    assert TYPICAL.render() == (
        "You allow research institutes or certified pharmaceutical companies to use your record for "
        "health, medical and biomedical research, in Taiwan, until 2028-01-15 08:00 UTC.\n"
        "They may see: every field but names, addresses, contact data, numbers, free text and true "
        "dates.\n"
        "It covers public and sensitive data.\n"
        "Conditions: not for commercial use.\n"
        "They pay at least 50 DUT for each use or licence. Of the provider's part, 75 % is yours.\n"
        + ENDING
    )


def test_a_consent_to_anything_for_everybody_everywhere() -> None:
    consent = replace(
        TYPICAL,
        purposes=vocabulary.duo_mask(["NRES"]),
        licensees=vocabulary.group_mask(vocabulary.GROUPS),
        fields=vocabulary.profile_hash("all"),
        region=1,
        tier=3,
        patientShare=8000,
        floorPrice=0,
    )
    assert consent.render() == (
        "You allow research institutes, certified pharmaceutical companies, other hospitals, "
        "insurers or public health authorities to use your record for any use, everywhere, until "
        "2028-01-15 08:00 UTC.\n"
        "They may see: every field of the record.\n"
        "It covers highly sensitive data too, where each licence needs your passkey.\n"
        "They pay at least 0 DUT for each use or licence. Of the provider's part, 80 % is yours.\n"
        + ENDING
    )


def test_a_consent_to_research_on_diseases() -> None:
    consent = replace(
        TYPICAL,
        purposes=vocabulary.duo_mask(["DS", "IRB", "RTN"]),
        diseases=b"\xd1" * 32,
        licensees=vocabulary.group_mask(["hospital"]),
        fields=vocabulary.profile_hash("measurements"),
        region=276,
        tier=1,
        patientShare=7777,
        floorPrice=DUT // 10**9,
    )
    assert consent.render() == (
        "You allow other hospitals to use your record for research on the diseases named, in "
        "Germany, until 2028-01-15 08:00 UTC.\n"
        "They may see: measured values and their times relative to the first, nothing else.\n"
        "It covers public data only.\n"
        "Diseases: those of the list with the fingerprint 0x" + "d1" * 32 + ".\n"
        "Conditions: only with approval of an ethics board; results come back to the hospital.\n"
        "They pay at least 0.000000001 DUT for each use or licence. Of the provider's part, "
        "77.77 % is yours.\n" + ENDING
    )


def test_a_mandate_says_who_sells_and_who_is_paid_what() -> None:
    """R21: the patient's one signature names the trustee, in words."""
    consent = replace(
        TYPICAL,
        licensees=TYPICAL.licensees | vocabulary.AUCTION_ONLY,
        patientShare=vocabulary.TRUST_SHARE,
        nonce=(7 << 160) + 0x4FE63778E7162489E1FBE170E9E7A3E9E27E887C,
    )
    text = consent.render()
    assert (
        "You mandate the trustee 0x4fE63778E7162489E1fbE170E9E7A3e9E27e887c to manage this for you. It "
        "alone sells, to whom these terms allow, never below the tariff's price; it may ask more, or "
        "hold back. You sign no further sale. Taking this back ends the mandate.\n"
    ) in text
    assert (
        "They pay at least 50 DUT for each use or licence. Of the whole price, 60 % is yours and 40 % "
        "the custodian's. They pay the trustee 15 % of it on top.\n"
    ) in text
    assert "auction" not in text
    assert "provider" not in text
    sensitive = replace(consent, tier=3).render()
    assert "hold back. You approve each sale with your passkey. Taking this back" in sensitive
    assert "no further sale" not in sensitive


def test_codes_that_nobody_knows_are_shown_as_they_are() -> None:
    consent = replace(
        TYPICAL,
        purposes=1 << 42 | 1 << 99,
        licensees=1 << 95,
        fields=b"\xee" * 32,
        region=999,
        tier=7,
        expiry=2**40 - 1,
    )
    text = consent.render()
    assert text.startswith(
        "You allow group 95 to use your record for general research, in the region with UN M49 "
        "code 999, until 1099511627775 seconds after 1970, beyond the year 9999.\n"
        "They may see: the fields of profile 0x" + "ee" * 32 + ".\n"
        "It covers data up to the unknown tier 7.\n"
        "Conditions: as DUO:0000099 says.\n"
    )


def test_a_consent_that_allows_nothing_says_so() -> None:
    text = replace(TYPICAL, purposes=1 << 46, licensees=0).render()
    assert text.startswith("You allow none to use your record for none, in Taiwan")


def test_a_revocation() -> None:
    assert Revocation(b"\x12" * 32).render() == (
        "You take back the consent 0x" + "12" * 32 + ". From the moment this reaches the chain "
        "nobody can use your record under it any more, and unearned money goes back to those who "
        "prepaid."
    )


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0"),
        (1, "0.000000000000000001"),
        (DUT, "1"),
        (2_625_000 * DUT, "2625000"),
        (3 * DUT // 2, "1.5"),
        (100 * DUT + 10**17, "100.1"),
        (12_345_678_901 * DUT + 123_456_789_012_345_678, "12345678901.123456789012345678"),
        (2**128 - 1, "340282366920938463463.374607431768211455"),
    ],
)
def test_a_withdrawal_names_its_amount_exactly(amount: int, words: str) -> None:
    withdrawal = Withdrawal(PATIENT, PATIENT.lower(), amount, 0, 1_800_000_000)
    assert withdrawal.render() == (
        f"{words} DUT of your earnings are paid to your own wallet, by 2027-01-15 08:00 UTC."
    )


def test_a_withdrawal_to_somebody_else_names_them() -> None:
    other = "0x" + "22" * 20
    text = Withdrawal(PATIENT, other, DUT, 0, 2**256 - 1).render()
    assert text.startswith(f"1 DUT of your earnings are paid to {other}, by ")
    assert "beyond the year 9999" in text


def test_a_voucher_names_its_units_licence_and_time() -> None:
    assert Voucher(b"\x34" * 32, 12_345, 1_800_000_000).render() == (
        "You acknowledge 12,345 units used of the licence 0x" + "34" * 32 + " until 2027-01-15 "
        "08:00 UTC. They will be paid from what you prepaid."
    )
    assert "beyond the year 9999" in Voucher(bytes(32), 2**256 - 1, 2**256 - 1).render()


_word = st.integers(0, 2**256 - 1)
_bytes = st.binary(min_size=32, max_size=32)


@given(_word, _bytes, _word, _bytes, _word, _word, _word, _word, _word)
def test_any_consent_can_be_shown_before_it_is_signed(
    purposes: int,
    diseases: bytes,
    licensees: int,
    profile: bytes,
    region: int,
    tier: int,
    share: int,
    floor: int,
    expiry: int,
) -> None:
    text = replace(
        TYPICAL,
        purposes=purposes,
        diseases=diseases,
        licensees=licensees,
        fields=profile,
        region=region,
        tier=tier,
        patientShare=share,
        floorPrice=floor,
        expiry=expiry,
    ).render()
    assert text.startswith("You allow ")
    assert text.endswith(ENDING)


def test_a_witness_reads_what_it_confirms() -> None:
    assert StorageWitness(b"\x12" * 32, b"\x34" * 32, 1_048_576).render() == (
        f"You confirm that the sealed bytes of the record 0x{'12' * 32}, 1,048,576 of them, have the "
        f"chunk root 0x{'34' * 32}. Its custodian can then prove that it stores them."
    )


def test_a_destruction_says_what_is_gone_and_what_is_not_meant() -> None:
    said = CopyDestruction(b"\x12" * 32, b"\x34" * 32).render()
    assert said.startswith("You attest, in public and for good, that you destroyed every copy")
    assert f"0x{'12' * 32}" in said
    assert f"0x{'34' * 32}" in said
    assert "What you derived from it by the licence's terms is not meant." in said


def test_what_rewards_have_signed_says_what_it_costs_and_that_it_stays() -> None:
    one, two = "0x" + "11" * 20, "0x" + "22" * 20
    said = Redemption(one, 3, 5 * DUT, 0, 1_800_000_000).render()
    assert said.startswith("5 of your tokens are burned, for good, for service 3, by ")
    said = Referral(one, two, 1_800_000_000).render()
    assert said.startswith(f"{two} was brought by {one}. This joins the two accounts in public")
    assert f"goes to {two}, by " in Donation(7, two, 1_800_000_000).render()
