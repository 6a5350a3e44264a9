"""Record keys: split two of three, held by key keepers, released only while the chain allows (R34).

What was already released cannot be recalled: a licensee that has opened a record has had its key.
"""

from ._hpke import HpkePrivateKey, HpkePublicKey
from ._identity import KeeperCard, KeeperIdentity, LogHead, ShredReceipt
from ._keeper import MAX_BATCH, ChainView, Holding, KeyKeeper, LicenceState, Tip
from ._log import LogEntry, verify_log
from ._order import ANY_KEEPER, Action, Custodianship, KeeperOrder, SignedOrder, order_with
from ._refusal import Code, Refused
from ._release import (
    Keeper,
    Wanted,
    deposit,
    release_key,
    release_keys,
    revoke,
    rotate,
    shred,
)
from ._rendition import EVERY_LICENCE, Rendition
from ._request import KeyRequest, SignedKeyRequest, sign_with
from ._shamir import Share, combine, split
from ._signing import signer as signer_of
from ._vault import Passphrase, ShareVault, SqliteVault, load_or_create_key, open_vault

__all__ = [
    "ANY_KEEPER",
    "EVERY_LICENCE",
    "MAX_BATCH",
    "Action",
    "ChainView",
    "Code",
    "Custodianship",
    "Holding",
    "HpkePrivateKey",
    "HpkePublicKey",
    "Keeper",
    "KeeperCard",
    "KeeperIdentity",
    "KeeperOrder",
    "KeyKeeper",
    "KeyRequest",
    "LicenceState",
    "LogEntry",
    "LogHead",
    "Passphrase",
    "Refused",
    "Rendition",
    "Share",
    "ShareVault",
    "ShredReceipt",
    "SignedKeyRequest",
    "SignedOrder",
    "SqliteVault",
    "Tip",
    "Wanted",
    "combine",
    "deposit",
    "load_or_create_key",
    "open_vault",
    "order_with",
    "release_key",
    "release_keys",
    "revoke",
    "rotate",
    "shred",
    "sign_with",
    "signer_of",
    "split",
    "verify_log",
]
