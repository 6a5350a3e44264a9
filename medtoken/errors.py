"""Every way in which medtoken refuses, one exception each, with the exit code the CLI maps it to.

An error's text is one clear sentence that a person can act on. Raising one of these means that
nothing was changed: callers may correct the input and run the same call again.
"""

from __future__ import annotations


class MedtokenError(Exception):
    """The base of all refusals. ``exit_code`` is what the command line returns for it."""

    exit_code = 70


class InvariantViolated(MedtokenError):
    """An audit found a rule that did not hold (the audit itself ran to its end)."""

    exit_code = 1


class BadInput(MedtokenError):
    """An argument is malformed: not an address, not an amount, not a known code, out of range."""

    exit_code = 2


class UnsupportedFile(MedtokenError):
    """The file is none of the formats that medtoken reads (FHIR R4, DICOM, CGM CSV, VCF)."""

    exit_code = 3


class MalformedFile(UnsupportedFile):
    """The format is known but the file is empty, truncated or breaks the format's own rules."""

    exit_code = 4


class IntegrityError(MedtokenError):
    """Sealed bytes, a CID, a fingerprint or a key commitment does not match (R33)."""

    exit_code = 5


class StoreError(MedtokenError):
    """A block or a record is not in the store, or the store cannot be read or written."""

    exit_code = 6


class KeyRefused(MedtokenError):
    """Too few key keepers released their share (R34); the text says what each one answered."""

    exit_code = 7


class NodeUnreachable(MedtokenError):
    """No Ethereum node answers at the address given."""

    exit_code = 8


class WrongChain(MedtokenError):
    """The node, the deployment record and the signed message do not name the same chain."""

    exit_code = 9


class ContractRefused(MedtokenError):
    """A contract reverted; the text is the contract's own sentence."""

    exit_code = 10


class InvalidSignature(ContractRefused):
    """A signature is malformed, replayed, expired or by somebody else."""

    exit_code = 11


class ConsentRefused(ContractRefused):
    """The consent is unknown, revoked, expired, or does not cover what is asked (R9)."""

    exit_code = 12


class InsufficientFunds(ContractRefused):
    """A deposit, budget, balance or supply cap is too small for the amount asked."""

    exit_code = 13


class NotPermitted(ContractRefused):
    """The caller has no role, accreditation or admission for this call."""

    exit_code = 14


class DeploymentError(MedtokenError):
    """A deployment record is missing, malformed, or does not match what is on the chain."""

    exit_code = 15


class ToolMissing(MedtokenError):
    """A program that medtoken needs (anvil) is not installed, or a port is already taken."""

    exit_code = 16


class StateError(MedtokenError):
    """The local state folder is missing, locked by another process, or was damaged."""

    exit_code = 17


class MeterRefused(MedtokenError):
    """A meter does not count a call or take a voucher (R14); the text says which limit was met."""

    exit_code = 18


class SourceError(MedtokenError):
    """A hospital's FHIR or DICOMweb server cannot be read, or answers as its standard forbids."""

    exit_code = 21


class ProofFailed(MedtokenError):
    """What a node said does not hash to what it must: it lies, or it is on another chain."""

    exit_code = 22


class DeploymentDeviates(DeploymentError):
    """What stands on the chain is not what this release deploys, or somebody has a power too many (R29)."""

    exit_code = 23
