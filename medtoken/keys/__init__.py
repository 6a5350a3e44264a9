"""Record keys: split two of three, held by key keepers, released only while the chain allows (R34).

What was already released cannot be recalled: a licensee that has opened a record has had its key.
"""

from ._hpke import HpkePrivateKey, HpkePublicKey
from ._keeper import ChainView, KeyKeeper, LicenceState
from ._log import LogEntry, verify_log
from ._release import Keeper, deposit, release_key, shred
from ._request import KeyRequest, SignedKeyRequest, sign_with
from ._shamir import Share, combine, split
from ._vault import ShareVault, SqliteVault, load_or_create_key

__all__ = [
    "ChainView",
    "HpkePrivateKey",
    "HpkePublicKey",
    "Keeper",
    "KeyKeeper",
    "KeyRequest",
    "LicenceState",
    "LogEntry",
    "Share",
    "ShareVault",
    "SignedKeyRequest",
    "SqliteVault",
    "combine",
    "deposit",
    "load_or_create_key",
    "release_key",
    "shred",
    "sign_with",
    "split",
    "verify_log",
]
