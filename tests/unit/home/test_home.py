"""The home folder: secrets that stay, locks that hold, and nothing where nothing was kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.live import PATIENCE, environment, python

from medtoken.chain.node import Wallet
from medtoken.errors import BadInput, StateError
from medtoken.home import Home

HOLDER = """
import sys
from medtoken.home import Home
with Home(sys.argv[1]).locked("work"):
    print("held", flush=True)
    sys.stdin.read()
"""
MAKER = """
import sys
from medtoken.home import Home
print(Home(sys.argv[1]).custodian_secret().hex())
"""


def test_a_home_that_keeps_nothing_is_not_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.wallets() == []
    assert home.read_journal("nothing") is None
    assert home.outbox.pending(1, "0x" + "11" * 20, None, b"", "key") is None
    assert not home.folder.exists()


def test_a_wallet_comes_back(tmp_path: Path) -> None:
    wallet = Wallet.create()
    Home(tmp_path).keep_wallet("patient", wallet)
    assert Home(tmp_path).wallet("patient").address == wallet.address
    assert Home(tmp_path).wallets() == ["patient"]


def test_a_wallet_is_made_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(StateError, match="There is no wallet patient .* there are: none"):
        home.wallet("patient")
    made = home.wallet("patient", create=True)
    assert home.wallet("patient", create=True).address == made.address


@pytest.mark.parametrize("name", ["", "../x", "a/b", "/etc/passwd", "a b", "a\n"])
def test_what_is_no_name_of_a_wallet(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is not the name of a wallet"):
        Home(tmp_path).wallet(name, create=True)
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_their_owner_s_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.custodian_secret()
    home.wallet("patient", create=True)
    home.write_journal("entry", {})
    kept = [path for path in home.folder.rglob("*") if path.suffix in (".key", ".secret", ".json")]
    assert len(kept) == 3
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("body", ["", "zz", "00" * 31, "00" * 33, "\0"])
def test_a_damaged_secret_is_not_replaced(tmp_path: Path, body: str) -> None:
    home = Home(tmp_path)
    home.custodian_secret()
    (tmp_path / "custodian.secret").write_text(body)
    with pytest.raises(StateError):
        home.custodian_secret()
    assert (tmp_path / "custodian.secret").read_text() == body


def test_processes_that_make_a_secret_at_once_make_one(tmp_path: Path) -> None:
    makers = [
        subprocess.Popen(
            python(MAKER, tmp_path), stdout=subprocess.PIPE, text=True, env=environment()
        )
        for _ in range(4)
    ]
    made = {maker.communicate(timeout=PATIENCE)[0] for maker in makers}
    assert made == {Home(tmp_path).custodian_secret().hex() + "\n"}


def test_a_journal_comes_back(tmp_path: Path) -> None:
    Home(tmp_path).write_journal("entry", {"a": 1})
    assert Home(tmp_path).read_journal("entry") == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_journal_is_said_to_be(tmp_path: Path, body: bytes) -> None:
    Home(tmp_path).write_journal("entry", {})
    (tmp_path / "journal" / "entry.json").write_bytes(body)
    with pytest.raises(StateError, match="is damaged"):
        Home(tmp_path).read_journal("entry")


def test_a_lock_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with subprocess.Popen(
        python(HOLDER, tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match="Another process"), home.locked("work", wait=False):
            pass
        with home.locked("other", wait=False):
            pass
        holder.kill()
        holder.wait(PATIENCE)
    with home.locked("work", wait=False):
        pass


def test_only_its_own_things_are_cleared(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "wallets").mkdir()
    (tmp_path / "wallets" / "mine").write_text("precious")
    refused = pytest.raises(StateError, match="was not made by `medtoken devnet`")
    with refused, home.afresh("devnet", ["wallets", "blocks"]):
        pass
    assert (tmp_path / "wallets" / "mine").exists()
    (tmp_path / "wallets" / "mine").unlink()
    (tmp_path / "wallets").rmdir()
    with home.afresh("devnet", ["wallets"]):
        (tmp_path / "wallets").mkdir()
        (tmp_path / "kept").write_text("")
    with home.afresh("devnet", ["wallets"]):
        assert not (tmp_path / "wallets").exists()
        assert (tmp_path / "kept").exists()
        with pytest.raises(StateError, match="Another process"), home.afresh("devnet", []):
            pass


def test_a_home_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = Home(tmp_path / "file")
    for attempt in (
        home.custodian_secret,
        lambda: home.write_journal("entry", {}),
        lambda: home.keep_wallet("patient", Wallet.create()),
    ):
        with pytest.raises(StateError) as caught:
            attempt()
        assert "\n" not in str(caught.value)
