"""Keys: who gets one, when, and everybody who does not (R34)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.live import answering, between
from support.stage import Stage

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Node
from medtoken.errors import IntegrityError, KeyRefused, MedtokenError, StoreError
from medtoken.formats import Format
from medtoken.ipfs import CID, Codec
from medtoken.keys import Keeper, KeyKeeper
from medtoken.messages import DUT, Revocation
from medtoken.parties import Licensee
from medtoken.parties.licensee import Bought
from medtoken.vocabulary import Form


@pytest.fixture
def bought(stage: Stage) -> Bought:
    """A licence for a term, final."""
    record = stage.record()
    stage.licensee.deposit(10_000 * DUT)
    made = stage.buy(record, stage.consent(record))
    stage.chain.mine()
    return made


def expect_refusal(stage: Stage, bought: Bought, target: Path, **others: Any) -> str:
    """The refusal; nothing was written where the plaintext would have gone."""
    licensee: Licensee = others.get("licensee", stage.licensee)
    keepers: Sequence[Keeper] = others.get("keepers", stage.keepers)
    with pytest.raises(KeyRefused) as caught:
        licensee.open_record(bought.licence, target, store=stage.home.store, keepers=keepers)
    assert not target.exists()
    assert list(target.parent.glob(f"*{target.name}*")) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


@dataclass
class Bad:
    """A keeper that behaves until it is asked for a share; then it does ``what``."""

    keeper: KeyKeeper
    what: Callable[..., bytes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keeper, name)

    def release(self, *args: Any, **more: Any) -> bytes:
        return self.what(*args, **more)


def dead(*args: Any, **more: Any) -> bytes:
    raise ConnectionRefusedError("nobody is here")


def noise(*args: Any, **more: Any) -> bytes:
    return b"\1" * 500


# ------------------------------------------------------------------ whom it is for


def test_the_licensee_reads_what_the_hospital_sealed(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    plain = stage.files[Format.VCF].read_bytes()
    assert stage.opened(bought, tmp_path / "opened") == plain
    assert stage.opened(bought, tmp_path / "again") == plain


def test_a_stranger_gets_no_key(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    stranger = Licensee(stage.suite, stage.chain.cast["stranger"])
    said = expect_refusal(stage, bought, tmp_path / "opened", licensee=stranger)
    assert said.count("the requester is not the licensee") == 3


def test_not_even_the_hospital_or_the_patient_gets_a_key(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    for wallet in (stage.chain.cast["hospital"], stage.patient_wallet):
        expect_refusal(stage, bought, tmp_path / "opened", licensee=Licensee(stage.suite, wallet))


def test_a_licence_that_nobody_bought(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    with pytest.raises(MedtokenError, match="licence: unknown licence"):
        stage.licensee.open_record(
            b"\1" * 32, tmp_path / "opened", store=stage.home.store, keepers=stage.keepers
        )


def test_a_licence_opens_its_own_record_only(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    """The keepers hold the chain's word for which record a licence is for."""
    other = stage.add(Format.CGM)
    stage.chain.mine()
    # Even when the store is led to give the other record's bytes.
    real = stage.suite.registry.draft(bought.ref.record)

    @dataclass
    class Misled:
        def open(self, cid: CID) -> Any:
            assert cid == CID(Codec(real.codec), real.content)
            return stage.home.store.open(other.cid)

    with pytest.raises((IntegrityError, KeyRefused)):
        stage.licensee.open_record(
            bought.licence,
            tmp_path / "opened",
            store=Misled(),  # type: ignore[arg-type]
            keepers=stage.keepers,
        )
    assert not (tmp_path / "opened").exists()


# ------------------------------------------------------------------ when


def test_no_key_before_the_purchase_is_final(stage: Stage, tmp_path: Path) -> None:
    record = stage.record()
    stage.licensee.deposit(1000 * DUT)
    bought = stage.buy(record, stage.consent(record))
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("is not final here yet") == 3
    stage.chain.mine()
    assert stage.opened(bought, tmp_path / "opened")


def test_no_key_after_a_revocation_not_even_before_it_is_final(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    revocation = Revocation(bought.ref.consent)
    stage.relay.revoke(revocation, stage.patient.sign(revocation))
    assert stage.chain.node.final().number < stage.chain.height()
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("the consent was revoked") == 3


def test_no_key_after_the_end(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    stage.later(91)
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("the licence has ended") == 3


def test_no_key_once_the_consent_has_expired(stage: Stage, tmp_path: Path) -> None:
    record = stage.record()
    stage.licensee.deposit(1000 * DUT)
    bought = stage.buy(record, stage.consent(record, days=2))
    stage.chain.mine()
    stage.later(2.1)
    expect_refusal(stage, bought, tmp_path / "opened")


def test_no_key_while_suspended(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    market, operator = stage.suite.market, stage.chain.cast["operator"]
    market.send(operator, "set_suspended", bought.licence, True)
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("the licence is suspended") == 3
    market.send(operator, "set_suspended", bought.licence, False)
    stage.chain.mine()
    assert stage.opened(bought, tmp_path / "opened")


def test_no_key_for_a_licensee_that_the_market_froze(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    market, who = stage.suite.market, stage.licensee.address
    word = market.licensee(who)
    market.set_licensee(stage.chain.cast["operator"], who, word.groups, word.region, flags=1)
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("the licensee is frozen") == 3


def test_no_key_for_an_account_under_sanctions(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    operator = stage.chain.cast["operator"]
    stage.suite.usage.send(operator, "setFrozen", stage.licensee.address, True)
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("the licensee's account is frozen") == 3


def test_no_key_for_a_metered_licence_without_a_use(stage: Stage, tmp_path: Path) -> None:
    record = stage.record()
    stage.licensee.deposit(1000 * DUT)
    bought = stage.buy(record, stage.consent(record), Form.METERED, 5)
    stage.chain.mine()
    said = expect_refusal(stage, bought, tmp_path / "opened")
    assert said.count("no use of the metered licence is on the chain yet") == 3
    stage.licensee.use(bought.licence)
    stage.chain.mine()
    assert stage.opened(bought, tmp_path / "opened")


# ------------------------------------------------------------------ keepers and their nodes


@pytest.mark.parametrize("what", [dead, noise])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_bad_keeper_of_three_stops_nobody(
    stage: Stage, bought: Bought, tmp_path: Path, which: int, what: Callable[..., bytes]
) -> None:
    keepers: list[Any] = list(stage.keepers)
    keepers[which] = Bad(keepers[which], what)
    stage.licensee.open_record(
        bought.licence, tmp_path / "opened", store=stage.home.store, keepers=keepers
    )
    assert (tmp_path / "opened").read_bytes() == stage.files[Format.VCF].read_bytes()


@pytest.mark.parametrize("what", [dead, noise])
def test_one_good_keeper_of_three_opens_nothing(
    stage: Stage, bought: Bought, tmp_path: Path, what: Callable[..., bytes]
) -> None:
    good, *rest = stage.keepers
    keepers = [good, *(Bad(keeper, what) for keeper in rest)]
    said = expect_refusal(stage, bought, tmp_path / "opened", keepers=keepers)
    assert all(keeper.name in said for keeper in stage.keepers)


def test_a_keeper_whose_share_is_of_another_record(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    """It swaps what it is asked for; the others are enough, and it alone is not."""
    keepers = stage.keepers

    def swapped(signed: Any, *args: Any) -> bytes:
        other = replace(signed.request, record=b"\2" * 32)
        return keepers[0].release(replace(signed, request=other), *args)

    liar = Bad(keepers[0], swapped)
    stage.licensee.open_record(
        bought.licence, tmp_path / "opened", store=stage.home.store, keepers=[liar, *keepers[1:]]
    )
    expect_refusal(stage, bought, tmp_path / "other", keepers=[liar, liar, keepers[2]])


def keepers_on(stage: Stage, url: str) -> list[KeyKeeper]:
    """The same keepers, reading the chain through another line."""
    return stage.home.keepers(Suite(Node.connect(url), stage.suite.deployment))


def test_a_keeper_that_cannot_read_the_chain_releases_nothing(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    with between(stage.chain.node.url, lambda method, forward: forward()) as url:
        blind = keepers_on(stage, url)
    expect_refusal(stage, bought, tmp_path / "opened", keepers=blind)
    one_blind = [blind[0], *stage.keepers[1:]]
    stage.licensee.open_record(
        bought.licence, tmp_path / "opened", store=stage.home.store, keepers=one_blind
    )


def test_a_keeper_s_node_that_talks_nonsense_releases_nothing(
    stage: Stage, bought: Bought, tmp_path: Path
) -> None:
    talking = True

    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        return forward() if talking else b'{"jsonrpc":"2.0","id":0,"result":"0x"}'

    with between(stage.chain.node.url, hook) as url:
        confused = keepers_on(stage, url)
        talking = False
        expect_refusal(stage, bought, tmp_path / "opened", keepers=confused)
    with answering(b"") as url, pytest.raises(MedtokenError):
        keepers_on(stage, url)


# ------------------------------------------------------------------ the store


def test_a_store_without_the_blocks(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    for block in (stage.home.folder / "blocks" / "blocks").rglob("*"):
        if block.is_file():
            block.unlink()
    with pytest.raises(StoreError):
        stage.opened(bought, tmp_path / "opened")
    assert not (tmp_path / "opened").exists()


def test_a_store_with_other_bytes(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    for block in (stage.home.folder / "blocks" / "blocks").rglob("*"):
        if block.is_file():
            body = bytearray(block.read_bytes())
            body[len(body) // 2] ^= 1
            block.chmod(0o600)
            block.write_bytes(body)
    with pytest.raises((IntegrityError, StoreError)):
        stage.opened(bought, tmp_path / "opened")
    assert not (tmp_path / "opened").exists()


def test_a_destination_that_cannot_be_written(stage: Stage, bought: Bought, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MedtokenError):
        stage.opened(bought, tmp_path / "file" / "opened")
