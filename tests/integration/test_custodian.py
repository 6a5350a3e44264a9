"""The custodian and the attester: what they register and attest, once, and what they are refused."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.live import MEDTOKEN, PATIENCE, between, environment, listing
from support.stage import Stage

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Node, Wallet
from medtoken.errors import (
    BadInput,
    ContractRefused,
    MalformedFile,
    NodeUnreachable,
    NotPermitted,
    StateError,
    UnsupportedFile,
)
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.ipfs import CID
from medtoken.keys import Rendition
from medtoken.parties import Custodian, attest_record
from medtoken.vocabulary import Form, Tier, profile_hash


def registered(fresh: Stage) -> int:
    """How many records of this test's patient are on the chain."""
    found = fresh.chain.events("RecordRegistered")
    return sum(1 for args in found if args["draft"]["owner"] == fresh.patient.address)


def versions(fresh: Stage, record: bytes) -> list[int]:
    """Of the shares that the keepers hold."""
    copy = Rendition(record, profile_hash("all")).id
    return [keeper.share_version(copy) for keeper in fresh.keepers]


# ------------------------------------------------------------------ adding


@pytest.mark.parametrize("kind", [kind for kind in Format if kind is not Format.STUDY])
def test_a_record_says_what_was_sealed(fresh: Stage, kind: Format) -> None:
    added = fresh.add(kind)
    draft = fresh.suite.registry.draft(added.record)
    assert added.new
    assert added.draft == draft
    assert added.bytes == fresh.files[kind].stat().st_size
    assert added.cid.digest == draft.content
    assert draft.size == len(fresh.home.store.open(added.cid).read())
    assert (draft.owner, draft.tier, draft.region) == (fresh.patient.address, Tier.SENSITIVE, 158)
    assert versions(fresh, added.record) == [1, 1, 1]


def test_nothing_on_the_chain_gives_the_file_away(fresh: Stage) -> None:
    import hashlib

    added = fresh.add()
    plain = fresh.files[Format.VCF].read_bytes()
    said = fresh.suite.registry.find("RecordRegistered", added.record)[0][0].data
    assert hashlib.sha256(plain).digest() not in said
    assert len(plain).to_bytes(32) not in said


def test_the_same_file_is_registered_once(fresh: Stage) -> None:
    first = fresh.add()
    height = fresh.chain.height()
    again = fresh.add()
    assert not again.new
    assert replace(again, new=True) == first
    assert fresh.chain.height() == height
    assert registered(fresh) == 1
    assert versions(fresh, first.record) == [1, 1, 1]


def test_a_copy_under_another_name_is_the_same_file(fresh: Stage, tmp_path: Path) -> None:
    first = fresh.add()
    copy = shutil.copy(fresh.files[Format.VCF], tmp_path / "another.bin")
    again = fresh.custodian.add_record(copy, fresh.patient.address, region="TW")
    assert (again.record, again.new) == (first.record, False)


def test_a_file_that_changed_is_another_record(fresh: Stage, tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    body = fresh.files[Format.CGM].read_text().splitlines()
    path.write_text("\n".join(body) + "\n")
    first = fresh.custodian.add_record(path, fresh.patient.address, region="TW")
    path.write_text("\n".join(body[:-1]) + "\n")
    second = fresh.custodian.add_record(path, fresh.patient.address, region="TW")
    assert second.new
    assert second.record != first.record
    assert fresh.suite.registry.draft(first.record) == first.draft


def test_a_file_belongs_to_one_patient(fresh: Stage) -> None:
    first = fresh.add()
    height = fresh.chain.height()
    with pytest.raises(ContractRefused, match="registered for another owner, 0x"):
        fresh.add(owner=Wallet.create().address)
    assert fresh.chain.height() == height
    assert fresh.suite.registry.draft(first.record).owner == fresh.patient.address


def test_what_was_said_wrong_can_be_said_again(fresh: Stage) -> None:
    """Until the registry has taken a record, nothing that was said of it binds."""
    with pytest.raises(ContractRefused, match="the record has no owner"):
        fresh.add(owner="0x" + "00" * 20)
    added = fresh.custodian.add_record(
        fresh.files[Format.VCF], fresh.patient.address, region="JP", tier=Tier.HIGHLY_SENSITIVE
    )
    draft = fresh.suite.registry.draft(added.record)
    assert (draft.owner, draft.region, draft.tier) == (fresh.patient.address, 392, 3)
    # Sealed once: what the keepers hold is still the key of what is in the store.
    assert versions(fresh, added.record) == [1, 1, 1]


def test_who_is_not_accredited_registers_nothing(fresh: Stage) -> None:
    before, height = listing(fresh.home.folder), fresh.chain.height()
    stranger = Custodian(fresh.suite, fresh.chain.cast["stranger"], fresh.home)
    with pytest.raises(NotPermitted, match="is not an accredited institution"):
        stranger.add_record(fresh.files[Format.VCF], fresh.patient.address, region="TW")
    assert fresh.chain.height() == height
    assert listing(fresh.home.folder) == before


def test_who_is_accredited_for_something_else_registers_nothing(fresh: Stage) -> None:
    height = fresh.chain.height()
    laboratory = Custodian(fresh.suite, fresh.chain.cast["laboratory"], fresh.home)
    with pytest.raises(NotPermitted, match="not accredited for this"):
        laboratory.add_record(fresh.files[Format.VCF], fresh.patient.address, region="TW")
    assert fresh.chain.height() == height


@pytest.mark.parametrize("annotator", ["stranger", "hospital"])
def test_who_is_no_annotator_is_not_named(fresh: Stage, annotator: str) -> None:
    height = fresh.chain.height()
    with pytest.raises(ContractRefused):
        fresh.custodian.add_record(
            fresh.files[Format.VCF],
            fresh.patient.address,
            region="TW",
            annotator=fresh.chain.cast[annotator].address,
        )
    assert fresh.chain.height() == height


BAD_FILES: dict[str, tuple[Callable[[dict[Format, Path]], bytes], type[Exception]]] = {
    "empty": (lambda files: b"", MalformedFile),
    "of no known type": (lambda files: b"%PDF-1.7 hello", UnsupportedFile),
    "a truncated bundle": (lambda files: files[Format.FHIR].read_bytes()[:-50], UnsupportedFile),
    "a truncated image": (lambda files: files[Format.DICOM].read_bytes()[:9000], UnsupportedFile),
    "a truncated gzip": (lambda files: files[Format.VCF].read_bytes()[:-50], UnsupportedFile),
    "noise inside a gzip": (lambda files: gzip.compress(b"\0" * 1000), UnsupportedFile),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_record_changes_nothing(fresh: Stage, tmp_path: Path, name: str) -> None:
    make, kind = BAD_FILES[name]
    bad = tmp_path / "bad"
    bad.write_bytes(make(dict(fresh.files)))
    before, height = listing(fresh.home.folder), fresh.chain.height()
    with pytest.raises(kind):
        fresh.custodian.add_record(bad, fresh.patient.address, region="TW")
    assert fresh.chain.height() == height
    assert listing(fresh.home.folder) == before


def test_a_file_that_is_not_there(fresh: Stage, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        fresh.custodian.add_record(tmp_path / "nothing", fresh.patient.address, region="TW")


def test_another_folder_of_the_same_custodian_does_not_know_the_record(
    fresh: Stage, tmp_path: Path
) -> None:
    fresh.add()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(fresh.home.folder / "custodian.secret", other)
    custodian = Custodian(fresh.suite, fresh.chain.cast["hospital"], Home(other))
    with pytest.raises(StateError, match="not from the folder"):
        custodian.add_record(fresh.files[Format.VCF], fresh.patient.address, region="TW")
    assert registered(fresh) == 1


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"cid": "x"}', '{"cid": 5, "size": 1}'])
def test_a_damaged_journal_is_said_to_be_damaged(fresh: Stage, body: str) -> None:
    fresh.add()
    (path,) = (fresh.home.folder / "journal").glob("record-*")
    path.write_text(body)
    with pytest.raises(StateError, match="damaged"):
        fresh.add()


def test_a_node_that_goes_away_in_the_middle(fresh: Stage) -> None:
    def hook(method: str, forward: Callable[[], bytes]) -> bytes | None:
        return None if method == "eth_sendRawTransaction" else forward()

    with between(fresh.chain.node.url, hook) as url:
        line = Suite(Node.connect(url), fresh.suite.deployment)
        custodian = Custodian(line, fresh.chain.cast["hospital"], fresh.home)
        with pytest.raises(NodeUnreachable):
            custodian.add_record(fresh.files[Format.VCF], fresh.patient.address, region="TW")
    assert registered(fresh) == 0
    assert fresh.add().new
    assert registered(fresh) == 1


# ------------------------------------------------------------------ killed


def kill_at_request(fresh: Stage, number: int) -> int:
    """`medtoken record add`, killed at its n-th request to the node; how many there were."""
    asked = 0
    victim: list[subprocess.Popen[bytes]] = []

    def hook(method: str, forward: Callable[[], bytes]) -> bytes | None:
        nonlocal asked
        asked += 1
        if asked == number:
            # It has been said: whether the answer arrives is another matter.
            forward()
            victim[0].kill()
            return None
        return forward()

    with between(fresh.chain.node.url, hook) as url:
        command = [
            *MEDTOKEN, "record", "add", str(fresh.files[Format.VCF]),
            *("--owner", fresh.patient.address, "--region", "TW"),
            *("--home", str(fresh.home.folder), "--rpc", url),
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        ) as process:
            victim.append(process)
            process.wait(PATIENCE)
    return asked


@pytest.mark.parametrize("number", [6, 9, 13])
def test_a_killed_custodian_loses_no_key_and_registers_once(
    fresh: Stage, tmp_path: Path, number: int
) -> None:
    assert kill_at_request(fresh, number) == number
    added = fresh.add()
    assert registered(fresh) == 1
    _opens(fresh, added.record, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 18))
def test_a_custodian_killed_at_any_request(fresh: Stage, tmp_path: Path, number: int) -> None:
    kill_at_request(fresh, number)
    assert registered(fresh) <= 1
    added = fresh.add()
    assert registered(fresh) == 1
    _opens(fresh, added.record, tmp_path)


def test_two_processes_that_add_the_same_file(fresh: Stage, tmp_path: Path) -> None:
    command = [
        *MEDTOKEN, "record", "add", str(fresh.files[Format.VCF]),
        *("--owner", fresh.patient.address, "--region", "TW"),
        *("--home", str(fresh.home.folder), "--rpc", fresh.chain.node.url),
    ]  # fmt: skip
    both = [
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        for _ in range(2)
    ]
    codes = [process.wait(PATIENCE) for process in both]
    assert 0 in codes
    assert registered(fresh) == 1
    _opens(fresh, fresh.add().record, tmp_path)


def _opens(fresh: Stage, record: bytes, tmp_path: Path) -> None:
    """The key that the keepers hold is that of the bytes that the chain names."""
    file = fresh.files[Format.VCF]
    attest_record(fresh.suite, fresh.chain.cast["laboratory"], record, file)
    fresh.licensee.deposit(10**21)
    bought = fresh.buy(record, fresh.consent(record), Form.FIXED_TERM)
    fresh.chain.mine()
    assert fresh.opened(bought, tmp_path / "opened") == file.read_bytes()


# ------------------------------------------------------------------ attesting


def test_an_attestation_mints_once(fresh: Stage) -> None:
    record, wallet = fresh.add().record, fresh.chain.cast["laboratory"]
    first = attest_record(fresh.suite, wallet, record, fresh.files[Format.VCF])
    height = fresh.chain.height()
    again = attest_record(fresh.suite, wallet, record, fresh.files[Format.VCF])
    assert again == first
    assert first.minted > 0
    assert fresh.chain.height() == height
    assert fresh.suite.contributions.balance(fresh.patient.address) == first.minted


@pytest.mark.parametrize("who", ["hospital", "annotator", "stranger", "pharma"])
def test_who_is_no_attester_attests_nothing(fresh: Stage, who: str) -> None:
    record = fresh.add().record
    height = fresh.chain.height()
    with pytest.raises(NotPermitted, match="not accredited for this"):
        attest_record(fresh.suite, fresh.chain.cast[who], record, fresh.files[Format.VCF])
    assert fresh.chain.height() == height
    assert fresh.suite.registry.attestation(record) is None


@pytest.mark.parametrize("other", [Format.FHIR, Format.DICOM, Format.CGM])
def test_the_file_of_another_record_is_not_attested(fresh: Stage, other: Format) -> None:
    record = fresh.add().record
    height = fresh.chain.height()
    with pytest.raises(BadInput, match="is not the file of record 0x"):
        attest_record(fresh.suite, fresh.chain.cast["laboratory"], record, fresh.files[other])
    assert fresh.chain.height() == height


def test_a_record_that_nobody_registered_is_not_attested(fresh: Stage) -> None:
    height = fresh.chain.height()
    with pytest.raises(BadInput, match="No record 0x"):
        attest_record(
            fresh.suite, fresh.chain.cast["laboratory"], bytes(31) + b"\1", fresh.files[Format.VCF]
        )
    assert fresh.chain.height() == height


def test_the_cid_on_the_chain_is_that_of_the_store(fresh: Stage) -> None:
    added = fresh.add()
    assert fresh.home.store.has(CID.parse(str(added.cid)))
