"""What each party does, one module for each: the verbs that the command line and the demo share.

A name is imported with its module when it is asked for: a patient's wallet needs no image library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medtoken.parties.attester import attest_record
    from medtoken.parties.challenger import challenge_record
    from medtoken.parties.custodian import Custodian, RegisteredRecord
    from medtoken.parties.licensee import Licensee
    from medtoken.parties.patient import Patient
    from medtoken.parties.relay import Relay
    from medtoken.parties.storage import Storer, witness_storage

_MODULES = {
    "Custodian": "custodian",
    "Licensee": "licensee",
    "Patient": "patient",
    "RegisteredRecord": "custodian",
    "Relay": "relay",
    "Storer": "storage",
    "attest_record": "attester",
    "challenge_record": "challenger",
    "witness_storage": "storage",
}

__all__ = [
    "Custodian",
    "Licensee",
    "Patient",
    "RegisteredRecord",
    "Relay",
    "Storer",
    "attest_record",
    "challenge_record",
    "witness_storage",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
