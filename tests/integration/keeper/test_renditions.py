"""Copies by profile and for one licence: three keeper processes and a real chain (R9, R35)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.live import medtoken, populated

from medtoken import masking
from medtoken.chain.node import Wallet
from medtoken.errors import BadInput, KeyRefused, NotPermitted
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.keeper.audit import releases_without_licence
from medtoken.keeper.client import configure_keepers
from medtoken.keys import Rendition
from medtoken.messages import DUT
from medtoken.parties import Custodian, Licensee, Patient, Relay, attest_record
from medtoken.parties.copies import Copies
from medtoken.parties.licensee import Bought
from medtoken.vocabulary import Form, profile_hash

from .conftest import World

PURPOSES = ("HMB", "NPUNCU")


class Scene:
    """A registered glucose series and its hospital, patient and licensee."""

    def __init__(self, world: World, folder: Path, file: Path) -> None:
        self.world, self.folder, self.file = world, folder, file
        self.suite, cast = world.chain.suite, world.chain.cast
        self.home = populated(folder / "home", world.chain)
        configure_keepers(self.home.keepers_file, world.keepers)
        self.hospital = Custodian(self.suite, cast["hospital"], self.home)
        self.patient = Patient(self.suite, Wallet.create())
        self.licensee = Licensee(self.suite, cast["pharma"])
        self.record = self.hospital.add_record(file, self.patient.address, region="TW").record
        attest_record(self.suite, cast["laboratory"], self.record, file)

    def licensed(self, fields: str) -> Bought:
        """A licence under a consent of its own."""
        consent = self.patient.consent(
            self.record,
            purposes=PURPOSES,
            licensees=["pharma"],
            region="TW",
            fields=fields,
            floor_price=DUT,
            days=90,
        )
        Relay(self.suite, self.world.chain.cast["relay"]).grant(consent, self.patient.sign(consent))
        bought = self.licensee.buy(
            self.record, consent.struct_hash(), form=Form.FIXED_TERM, purposes=PURPOSES, days=30
        )
        self.world.chain.mine()
        return bought

    def opened(self, bought: Bought, licensee: Licensee | None = None) -> bytes:
        target = self.folder / "opened"
        (licensee or self.licensee).open_record(
            bought.licence, target, store=self.home.store, keepers=self.world.keepers
        )
        return target.read_bytes()

    def masked(self, profile: str) -> bytes:
        """What a profile lets out, unmarked."""
        target = self.folder / "masked"
        secret = self.home.copies_secret()
        masking.mask_file(self.file, target, masking.load_profile(profile), secret)
        return target.read_bytes()

    def expect_no_key(self, bought: Bought, text: str) -> None:
        with pytest.raises(KeyRefused, match=text):
            self.opened(bought)

    def findings(self) -> Sequence[object]:
        keeper = self.world.keepers[0]
        from medtoken.chain.rpc import Rpc

        rpc = Rpc(self.suite.node.url)
        return releases_without_licence(list(keeper.log()), rpc, self.suite.deployment)


@pytest.fixture
def scene(world: World, tmp_path: Path, files: dict[Format, Path]) -> Scene:
    return Scene(world, tmp_path, files[Format.CGM])


def test_each_consent_opens_its_own_copy_of_the_one_record(scene: Scene) -> None:
    whole, narrow = scene.licensed("all"), scene.licensed("measurements")
    none = scene.licensed("de-identified")
    minted = scene.suite.contributions.balance(scene.patient.address)
    scene.expect_no_key(narrow, "for the profile that the consent names")
    added = scene.hospital.add_rendition(scene.record, scene.file, profile="measurements")
    assert added.new
    assert not scene.hospital.add_rendition(scene.record, scene.file, profile="measurements").new
    assert scene.opened(whole) == scene.file.read_bytes()
    assert scene.opened(narrow) == scene.masked("measurements") != scene.file.read_bytes()
    scene.expect_no_key(none, "for the profile that the consent names")
    assert scene.suite.contributions.balance(scene.patient.address) == minted > 0
    stranger = Licensee(scene.suite, scene.world.chain.cast["stranger"])
    with pytest.raises(KeyRefused, match="not the licensee"):
        scene.opened(narrow, stranger)
    event = [e.event for e in scene.world.keepers[0].log() if e.event["kind"] == "release"][-1]
    assert event["fields"] in {"0x" + profile_hash(n).hex() for n in ("all", "measurements")}
    assert scene.findings() == []


def test_a_copy_for_one_licence_is_marked_and_goes_to_nobody_else(scene: Scene) -> None:
    mine, other = scene.licensed("de-identified"), scene.licensed("de-identified")
    added = scene.hospital.add_rendition(scene.record, scene.file, licence=mine.licence)
    assert added.places > 100
    content = scene.opened(mine)
    assert content != scene.masked("de-identified")
    scene.expect_no_key(other, "for the profile that the consent names")
    master = scene.folder / "master.csv"
    master.write_bytes(scene.masked("de-identified"))
    leaked = scene.folder / "leaked.csv"
    leaked.write_bytes(content)
    trace = Copies(scene.home).trace(leaked, master, among=["0x" + other.licence.hex()])
    assert [suspect.candidate for suspect in trace.named] == ["0x" + mine.licence.hex()]


def test_rotation_and_destruction_are_of_every_copy(scene: Scene) -> None:
    whole, mine = scene.licensed("all"), scene.licensed("de-identified")
    scene.hospital.add_rendition(scene.record, scene.file, licence=mine.licence)
    copies = [
        Rendition(scene.record, profile_hash("all")),
        Rendition(scene.record, profile_hash("de-identified"), mine.licence),
    ]
    assert scene.hospital.rotate_shares(scene.record) == 2
    for keeper in scene.world.keepers:
        assert [keeper.share_version(copy.id) for copy in copies] == [2, 2]
    assert scene.opened(whole) == scene.file.read_bytes()
    assert scene.opened(mine)
    certificate = scene.hospital.destroy_record(scene.record)
    assert len(certificate.check(scene.record)) == 3
    for keeper in scene.world.keepers:
        assert all(keeper.holding(copy.id).shredded for copy in copies)
    for bought in (whole, mine):
        scene.expect_no_key(bought, "destroyed|shredded")


def test_what_is_not_the_record_or_not_consented_is_not_sealed(
    scene: Scene, files: dict[Format, Path]
) -> None:
    bought = scene.licensed("measurements")
    with pytest.raises(BadInput, match="is not the file that was registered"):
        scene.hospital.add_rendition(scene.record, files[Format.DICOM])
    with pytest.raises(BadInput, match="names the profile 0x"):
        scene.hospital.add_rendition(
            scene.record, scene.file, licence=bought.licence, profile="all"
        )
    other = Custodian(scene.suite, scene.world.chain.cast["laboratory"], scene.home)
    with pytest.raises(NotPermitted, match="not the custodian"):
        other.add_rendition(scene.record, scene.file)
    scene.expect_no_key(bought, "for the profile that the consent names")


def test_a_role_narrows_one_licences_copy(scene: Scene) -> None:
    """The consent would let more out than an insurer may see."""
    bought = scene.licensed("de-identified")
    common = ["--rpc", scene.suite.node.url, "--home", str(scene.home.folder), "--json"]
    licence = "0x" + bought.licence.hex()
    record = "0x" + scene.record.hex()
    refused = medtoken("record", "copy", record, scene.file, "--role", "insurer", *common)
    assert refused.code != 0
    made = medtoken(
        *("record", "copy", record, scene.file, "--licence", licence),
        *("--role", "insurer", "--unmarked", *common),
    ).ok()
    assert (made["profile"], made["marked_places"]) == ("measurements", 0)
    assert scene.opened(bought) == scene.masked("measurements")
    assert Home(scene.home.folder).copies()
