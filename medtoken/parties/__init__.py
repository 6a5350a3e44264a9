"""What each party does, one module for each: the verbs that the command line and the demo share."""

from medtoken.parties.attester import attest_record
from medtoken.parties.challenger import challenge_record
from medtoken.parties.custodian import Custodian, RegisteredRecord
from medtoken.parties.licensee import Licensee
from medtoken.parties.patient import Patient
from medtoken.parties.relay import Relay
from medtoken.parties.storage import Storer, witness_storage

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
