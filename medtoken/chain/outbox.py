"""Transactions that were signed and may have been sent: what a crash must not send twice.

One small file per intent, written (and flushed to disk) before the transaction leaves. A run that
finds its intent here sends the very same bytes again, whose nonce lets the chain take them once.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from medtoken.errors import StateError


class Outbox:
    """A folder of signed transactions by intent.

    Intents whose key starts with ``auto:``, and those without a key (which are known by the bytes
    they send), are forgotten by ``clear``; the others stay and are carried out once for ever.
    """

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; it is made when the first transaction is kept."""
        self._folder = folder
        self._own: set[Path] = set()

    def pending(
        self, chain_id: int, sender: str, to: str | None, data: bytes, key: str | None
    ) -> bytes | None:
        """The signed transaction of an intent, or None when it was never signed."""
        # Most who write files durably sign nothing.
        from eth_account import Account

        path = self._path(chain_id, sender, to, data, key)
        try:
            raw = bytes.fromhex(json.loads(path.read_text())["raw"])
            signer = str(Account.recover_transaction(raw))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"The file {path} cannot be read: {error.strerror}.") from None
        except Exception:  # damaged bytes make the decoders raise many kinds
            signer = ""
        if signer.lower() != sender.lower():
            raise StateError(
                f"The file {path} is damaged; it holds a signed transaction of {sender}, which may "
                "have been carried out."
            )
        self._own.add(path)
        return raw

    def remember(
        self,
        chain_id: int,
        sender: str,
        to: str | None,
        data: bytes,
        key: str | None,
        *,
        raw: bytes,
    ) -> None:
        """Keep a signed transaction, on disk before this returns."""
        path = self._path(chain_id, sender, to, data, key)
        body = {"chain_id": chain_id, "sender": sender, "key": key, "raw": raw.hex()}
        write_durably(path, json.dumps(body).encode())
        self._own.add(path)

    def forget(
        self, chain_id: int, sender: str, to: str | None, data: bytes, key: str | None
    ) -> None:
        """Drop an intent whose transaction failed for good."""
        self._path(chain_id, sender, to, data, key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget this process's passing intents: whoever asked has heard what became of them.

        What another process asked for, now or before it was killed, stays.
        """
        for path in self._own:
            if path.name.startswith("auto-"):
                path.unlink(missing_ok=True)
        self._own.clear()

    def _path(
        self, chain_id: int, sender: str, to: str | None, data: bytes, key: str | None
    ) -> Path:
        intent = key.encode() if key is not None else b"\0" + (to or "").lower().encode() + data
        name = hashlib.sha256(f"{chain_id}:{sender.lower()}:".encode() + intent).hexdigest()
        passing = key is None or key.startswith("auto:")
        return self._folder / f"{'auto' if passing else 'once'}-{name[:40]}.json"


def make_private(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, for their owner alone."""
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)


def write_durably(path: Path, body: bytes, mode: int = 0o600) -> None:
    """Replace a file's content in one step that a crash cannot leave half done.

    Makes the folder when it is not there, for its owner alone. Raises StateError when the file
    cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make_private(path.parent)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(f"The file {path} cannot be written: {error.strerror}.") from None
