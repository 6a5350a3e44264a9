"""The folder in which one installation keeps what only it knows: keys, secrets, blocks, journals.

Nothing in it is public, nothing in it is lost by a crash: each file is replaced whole. Several parties
may share a folder on a development machine; in real life each has its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medtoken.chain.contracts import Suite
from medtoken.chain.licence_view import MarketView
from medtoken.chain.node import Wallet
from medtoken.chain.outbox import Outbox, make_private, write_durably
from medtoken.chain.rpc import Rpc
from medtoken.errors import BadInput, StateError
from medtoken.ipfs import CID, DEFAULT_API, Store, open_store
from medtoken.keeper.client import configured_keepers
from medtoken.keys import Keeper, KeeperIdentity, KeyKeeper, SqliteVault, load_or_create_key

KEEPERS = 3


class Home:
    """One such folder, made when the first thing is kept in it."""

    def __init__(
        self, folder: str | Path, *, store: str = "embedded", ipfs_api: str = DEFAULT_API
    ) -> None:
        """Nothing is read or written yet. ``store`` is where blocks go: see ``open_store``."""
        self.folder = Path(folder)
        self.store_kind = store
        self.ipfs_api = ipfs_api

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold one of the folder's locks; a process that is killed lets go of it.

        Raises StateError when another process holds it, unless this shall ``wait``.
        """
        path = self._made("locks") / name
        with open(path, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StateError(f"Another process is using the folder {self.folder}.") from None
            yield

    @contextlib.contextmanager
    def afresh(self, owner: str, names: Sequence[str]) -> Iterator[None]:
        """Hold the folder as ``owner``, emptied of ``names``, which only earlier owners have made.

        Raises StateError when somebody else made them, or another process is the owner now.
        """
        there = [self.folder / name for name in names if (self.folder / name).exists()]
        if there and not (self.folder / "locks" / owner).exists():
            raise StateError(
                f"{there[0]} was not made by `medtoken {owner}`, which would delete it; choose "
                "another folder."
            )
        with self.locked(owner, wait=False):
            for path in there:
                shutil.rmtree(path)
            yield

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for the owner only, for files that are on their way in; emptied at the end.

        What a killed process left in it goes when the next one begins. One process at a time.
        """
        with self.locked("scratch"):
            folder = self.folder / "scratch"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def outbox(self) -> Outbox:
        """Transactions that were signed (see Outbox)."""
        return Outbox(self.folder / "outbox")

    @property
    def store(self) -> Store:
        """Blocks of sealed records."""
        return self.open_store()

    def open_store(self, *, offline: bool = False) -> Store:
        """``store``; with ``offline`` an IPFS daemon gives only the blocks that it holds itself."""
        return open_store(self.store_kind, self.folder / "blocks", self.ipfs_api, offline=offline)

    def registered(self) -> dict[str, CID]:
        """The records that were sealed from this folder: record id in hexadecimal to content."""
        return dict(self._sealed("record"))

    def copies(self) -> dict[CID, str]:
        """The masked copies that were sealed from this folder: content to record id in hexadecimal."""
        return {cid: record for record, cid in self._sealed("rendition")}

    def _sealed(self, kind: str) -> Iterator[tuple[str, CID]]:
        for path in sorted((self.folder / "journal").glob(f"{kind}-*.json")):
            entry = self.read_journal(path.stem)
            if entry is not None:
                yield str(entry["record"]), CID.parse(str(entry["cid"]))

    def deployment(self, chain_id: int) -> Path:
        """Where the record of a deployment on a chain is kept."""
        return self.folder / "deployments" / f"{chain_id}.json"

    def custodian_secret(self) -> bytes:
        """The 32 bytes that key this custodian's duplicate tags (R6); made at the first call."""
        return self._secret("custodian.secret")

    def copies_secret(self) -> bytes:
        """The 32 bytes that key masked and marked copies (R35); made at the first call.

        Not the custodian's other secret: its tags are public, and of files that others may choose.
        """
        return self._secret("copies.secret")

    def wallet(self, name: str, *, create: bool = False) -> Wallet:
        """The wallet kept under a name. Raises StateError when there is none."""
        path = self._wallet_path(name)
        if not path.exists() and not create:
            known = ", ".join(self.wallets()) or "none"
            raise StateError(f"There is no wallet {name} in {self.folder}; there are: {known}.")
        return Wallet.from_key(self._secret(f"wallets/{name}.key"))

    def keep_wallet(self, name: str, wallet: Wallet) -> None:
        """Keep a wallet under a name, in place of an earlier one."""
        write_durably(self._wallet_path(name), wallet.key.hex().encode())

    def wallets(self) -> list[str]:
        """Names of the wallets kept."""
        return sorted(p.stem for p in (self.folder / "wallets").glob("*.key"))

    def keepers(self, suite: Suite) -> list[Keeper]:
        """The three key keepers that records are deposited with (R34).

        Those of the folder's ``keepers.json``, which run as services; without one, three in this
        process, each with a vault of its own, that share a machine and a node.
        """
        if self.keepers_file.exists():
            return list(configured_keepers(self.keepers_file))
        folder = self._made("keepers")
        keepers: list[Keeper] = []
        for number in range(1, KEEPERS + 1):
            vault = SqliteVault(
                folder / f"{number}.sqlite", load_or_create_key(folder / f"{number}.key")
            )
            keepers.append(
                KeyKeeper(
                    KeeperIdentity.of(vault),
                    name=f"keeper {number}",
                    chain_id=suite.node.chain_id,
                    market=suite.market.address,
                    chain=MarketView(Rpc(suite.node.url), suite.deployment),
                    vault=vault,
                )
            )
        return keepers

    @property
    def keepers_file(self) -> Path:
        """Which key keepers there are: their addresses, and the ids that pin their keys."""
        return self.folder / "keepers.json"

    def read_certificate(self, record: bytes) -> bytes:
        """The document of a record's destruction. Raises StateError when it is not here."""
        path = self.folder / "certificates" / f"{record.hex()}.json"
        try:
            return path.read_bytes()
        except OSError:
            raise StateError(f"There is no destruction certificate {path}.") from None

    def write_certificate(self, record: bytes, document: bytes) -> None:
        """Keep the document of a record's destruction."""
        write_durably(self.folder / "certificates" / f"{record.hex()}.json", document)

    def read_journal(self, name: str) -> dict[str, Any] | None:
        """A journal entry, or None. Raises StateError when it is damaged."""
        path = self.folder / "journal" / f"{name}.json"
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise StateError(f"The journal {path} is damaged.") from None
        return data

    def write_journal(self, name: str, body: dict[str, Any]) -> None:
        """Write a journal entry, on disk before this returns."""
        path = self.folder / "journal" / f"{name}.json"
        write_durably(path, json.dumps(body, sort_keys=True, indent=1).encode())

    def _wallet_path(self, name: str) -> Path:
        if not re.fullmatch(r"[\w.-]+", name):
            raise BadInput(f"{name!r} is not the name of a wallet.")
        return self.folder / "wallets" / f"{name}.key"

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        try:
            make_private(folder)
        except OSError as error:
            raise StateError(f"The folder {folder} cannot be made: {error.strerror}.") from None
        return folder

    def _secret(self, name: str) -> bytes:
        path = self.folder / name
        try:
            if not path.exists():
                with self.locked("secrets"):
                    if not path.exists():
                        write_durably(path, secrets.token_bytes(32).hex().encode())
            value = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError):
            raise StateError(f"The secret {path} cannot be read.") from None
        if len(value) != 32:
            raise StateError(f"The secret {path} does not have 32 bytes.")
        return value
