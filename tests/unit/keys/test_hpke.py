"""A share sealed to a key opens with that key and that info only."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput, IntegrityError
from medtoken.keys import HpkePrivateKey, HpkePublicKey, _hpke


def classical() -> HpkePrivateKey:
    return HpkePrivateKey(b"\x01" + b"\x07" * 32)


@pytest.mark.parametrize("make", [HpkePrivateKey.generate, classical])
def test_a_message_opens_with_its_key_only(make: type[HpkePrivateKey]) -> None:
    key = make()
    sealed = HpkePublicKey(bytes(key.public_key)).seal(b"share", b"info")
    assert HpkePrivateKey(bytes(key)).open(sealed, b"info") == b"share"
    assert b"share" not in sealed
    other = HpkePrivateKey.generate()
    for reader, info in ((key, b"other"), (key, b""), (other, b"info")):
        with pytest.raises(IntegrityError):
            reader.open(sealed, info)


@settings(deadline=None)
@given(data=st.data())
def test_an_altered_message_never_opens(data: st.DataObject, private_key: HpkePrivateKey) -> None:
    sealed = bytearray(private_key.public_key.seal(b"share", b"info"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for bad in (bytes(sealed), bytes(sealed[:cut]), bytes(sealed) + b"x"):
        with pytest.raises(IntegrityError):
            private_key.open(bad, b"info")


def test_the_hybrid_is_used_where_it_is_available(private_key: HpkePrivateKey) -> None:
    assert bytes(private_key)[0] == bytes(private_key.public_key)[0] == 2
    assert len(bytes(private_key.public_key)) == 1217
    assert len(bytes(private_key)) == 97


def test_without_ml_kem_it_is_plain_x25519(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        @staticmethod
        def generate() -> None:
            raise UnsupportedAlgorithm("ML-KEM-768 is not supported by this version of OpenSSL")

    monkeypatch.setattr(_hpke, "MLKEM768PrivateKey", Missing)
    key = HpkePrivateKey.generate()
    assert len(bytes(key.public_key)) == 33
    assert key.open(key.public_key.seal(b"share", b"info"), b"info") == b"share"


@settings(deadline=None)
@given(st.binary(max_size=1300))
def test_bytes_that_are_no_key_are_refused(raw: bytes) -> None:
    for suite in (b"", b"\x01", b"\x02"):
        encoded = suite + raw
        if len(encoded) in (33, 97, 1217):
            continue
        for read in (HpkePublicKey, HpkePrivateKey):
            with pytest.raises(BadInput, match="key"):
                read(encoded)


def test_a_key_that_leads_nowhere_is_refused() -> None:
    """A low-order X25519 point would make the shared secret public."""
    with pytest.raises(BadInput, match="not usable"):
        HpkePublicKey(b"\x01" + bytes(32)).seal(b"share", b"info")


def test_fingerprints_tell_keys_apart(private_key: HpkePrivateKey) -> None:
    other = HpkePrivateKey.generate()
    assert private_key.public_key.fingerprint != other.public_key.fingerprint
    again = HpkePublicKey(bytes(private_key.public_key))
    assert again.fingerprint == private_key.public_key.fingerprint
    assert len(again.fingerprint) == 32
