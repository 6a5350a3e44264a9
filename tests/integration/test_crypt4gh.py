"""Records that leave and come as Crypt4GH, through the command line, against the reference."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import crypt4gh.keys.c4gh
import crypt4gh.lib
import pytest
from support.live import Ran, listing, medtoken_here
from support.stage import Stage

from medtoken.formats import Format
from medtoken.interop.crypt4gh import read_public_key, read_secret_key
from medtoken.vocabulary import Form


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, passphrase in (("bob", b""), ("eve", b""), ("hospital", b"a passphrase")):
        crypt4gh.keys.c4gh.generate(
            folder / f"{name}.sec", folder / f"{name}.pub", passphrase, None
        )
    return folder


def run(stage: Stage, *words: str | Path, **env: str) -> Ran:
    where = ("--home", stage.home.folder, "--rpc", stage.chain.node.url, "--json")
    return medtoken_here(*words, *where, **env)


def reference(path: Path, secret: Path, sender: Path | None = None) -> bytes:
    found = io.BytesIO()
    keys = [(0, read_secret_key(secret).raw, None)]
    whose = read_public_key(sender) if sender else None
    with path.open("rb") as file:
        crypt4gh.lib.decrypt(keys, file, found, sender_pubkey=whose)
    return found.getvalue()


def incoming(path: Path, plain: bytes, keys: Path) -> Path:
    """A file that another laboratory encrypted for the hospital with the reference."""
    public = read_public_key(keys / "hospital.pub")
    with path.open("wb") as file:
        secret = read_secret_key(keys / "bob.sec").raw
        crypt4gh.lib.encrypt([(0, secret, public)], io.BytesIO(plain), file)
    return path


def test_a_licensed_record_leaves_as_crypt4gh(stage: Stage, keys: Path, tmp_path: Path) -> None:
    record = stage.record()
    stage.licensee.deposit(10**21)
    bought = stage.buy(record, stage.consent(record), Form.FIXED_TERM)
    stage.chain.mine()
    target = tmp_path / "out.c4gh"
    words = ("record", "export", "0x" + bought.licence.hex(), target)
    words += ("--crypt4gh", keys / "bob.pub", "--sender", keys / "eve.sec")
    done = run(stage, *words).ok()
    plain = stage.files[Format.VCF].read_bytes()
    assert done["bytes"] == len(plain)
    assert reference(target, keys / "bob.sec", keys / "eve.pub") == plain
    assert plain[:200] not in target.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out.c4gh"]


def test_what_is_not_licensed_does_not_leave(stage: Stage, keys: Path, tmp_path: Path) -> None:
    ran = run(
        stage,
        *("record", "export", "0x" + "11" * 32, tmp_path / "out"),
        *("--crypt4gh", keys / "bob.pub"),
    )
    assert ran.code == 10
    assert not (tmp_path / "out").exists()


def test_a_record_comes_in(fresh: Stage, keys: Path, tmp_path: Path) -> None:
    plain = fresh.files[Format.FHIR].read_bytes()
    path = incoming(tmp_path / "in.c4gh", plain, keys)
    words = ("record", "import", path, "--crypt4gh", keys / "hospital.sec")
    words += ("--owner", fresh.patient.address, "--region", "TW", "--sender", keys / "bob.pub")
    words += ("--sha256", hashlib.sha256(plain).hexdigest())
    environment = {"MEDTOKEN_CRYPT4GH_PASSPHRASE": "a passphrase"}
    done = run(fresh, *words, **environment).ok()
    assert (done["new"], done["kind"], done["bytes"]) == (True, "health_record", len(plain))
    # The very file is registered: adding the plaintext finds it there.
    again = fresh.add(Format.FHIR)
    assert ("0x" + again.record.hex(), again.new) == (done["record"], False)
    assert not (fresh.home.folder / "scratch").exists()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda data: data[:-1], 5, "altered or cut off"),
        (lambda data: b"crypt4gx" + data[8:], 3, "not a Crypt4GH file"),
        (lambda data: data[:20], 4, "cut off"),
    ],
)
def test_bad_files_change_nothing(
    fresh: Stage, keys: Path, tmp_path: Path, change: object, code: int, words: str
) -> None:
    path = incoming(tmp_path / "in.c4gh", fresh.files[Format.CGM].read_bytes(), keys)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    refused(fresh, path, keys, code, words)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--sender", "eve.pub"), 5, "from that sender"),
        (("--sender", "eve.sec"), 2, "is not a file with a Crypt4GH public key"),
        (("--sha256", "00" * 32), 5, "not the one asked for"),
    ],
)
def test_what_is_not_as_expected_changes_nothing(
    fresh: Stage, keys: Path, tmp_path: Path, more: tuple[str, str], code: int, words: str
) -> None:
    path = incoming(tmp_path / "in.c4gh", fresh.files[Format.CGM].read_bytes(), keys)
    option, value = more
    refused(fresh, path, keys, code, words, option, keys / value if "." in value else value)


def test_the_wrong_passphrase_changes_nothing(fresh: Stage, keys: Path, tmp_path: Path) -> None:
    path = incoming(tmp_path / "in.c4gh", fresh.files[Format.CGM].read_bytes(), keys)
    refused(fresh, path, keys, 2, "not the passphrase", passphrase="wrong")


def refused(
    stage: Stage,
    path: Path,
    keys: Path,
    code: int,
    words: str,
    *more: str | Path,
    passphrase: str = "a passphrase",  # noqa: S107
) -> None:
    height, before = stage.chain.height(), listing(stage.home.folder)
    ran = run(
        stage,
        *("record", "import", path, "--crypt4gh", keys / "hospital.sec"),
        *("--owner", stage.patient.address, "--region", "TW"),
        *more,
        MEDTOKEN_CRYPT4GH_PASSPHRASE=passphrase,
    )
    assert ran.code == code, ran.err
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert stage.chain.height() == height
    assert listing(stage.home.folder) == before
