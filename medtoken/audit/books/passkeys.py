"""Passkeys of patients, and what they approved with them (R10).

That an assertion is the passkey's, and that a change is signed by its wallet, is proven in the
transaction; no log tells. What the logs do tell is which passkey counted when, that its counter went
up, and which order was approved until when: the market's book asks for that at each licence under a
consent of the highest tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import PasskeyState
from medtoken.vocabulary import Form

_DELAY = keccak(text="delay")
_ORDER = "(bytes32,uint256,uint256,uint256,uint256,bytes32,bool,uint256,bytes32,uint256)"  # as the market's
Passkey = tuple[bytes, bytes, bytes]  # x, y, SHA-256 of the relying party's id
NO_PASSKEY: Passkey = (bytes(32), bytes(32), bytes(32))


@dataclass(frozen=True)
class Approved:
    """What a patient approved, until when."""

    patient: str
    consent: bytes
    licensee: str
    order: dict[str, Any]
    deadline: int  # unix seconds

    @property
    def key(self) -> bytes:
        """Under which the contract keeps it."""
        kinds = ["address", "bytes32", "address", _ORDER]
        values = [self.patient, self.consent, self.licensee, tuple(self.order.values())]
        return keccak(encode(kinds, values))


class PasskeyBook(Book):
    """The passkeys, the changes that wait, and the approvals."""

    def __init__(self, journal: Journal) -> None:
        """Start without any."""
        super().__init__(journal)
        self.passkeys: dict[str, Passkey] = {}
        self.changes: dict[str, Passkey] = {}
        self.states: dict[str, PasskeyState] = {}
        self.approvals: dict[bytes, Approved] = {}
        self._by_licence: dict[tuple[bytes, bytes, str, int], list[Approved]] = {}
        self.delay = 0

    def allows(self, patient: str, bought: dict[str, Any]) -> bool:
        """Whether a patient has approved, until now or later, what a licensee bought just now."""
        now = self.journal.now
        metered = bought["form"] == Form.METERED
        units = 1 if metered else rules.started_years(bought["end"] - now)
        told = {k: v for k, v in bought.items() if k in _TOLD}
        place = (bought["consent"], bought["record"], bought["licensee"], bought["salt"])
        return any(
            approved.patient == patient
            and approved.deadline >= now
            and told == {k: approved.order[k] for k in _TOLD}
            and bought["price"] <= approved.order["maxPrice"] * units
            for approved in self._by_licence.get(place, ())
        )

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "passkeys": {
                patient: {
                    "x": hexed(x),
                    "y": hexed(y),
                    "relying_party": hexed(party),
                    "counter": self.states[patient].counter,
                    "change_since": self.states[patient].since,
                }
                for patient, (x, y, party) in sorted(self.passkeys.items())
            },
            "approvals": len(self.approvals),
            "delay": self.delay,
        }

    def _follow(self, patient: str) -> PasskeyState:
        """Write down a change that counts by now, as the contract does before anything else."""
        state = self.states.get(patient, PasskeyState())
        if state.since and not self.journal.before(state.since):
            self.passkeys[patient] = self.changes[patient]
            self.changes[patient] = NO_PASSKEY
            state = PasskeyState(nonce=state.nonce)
        return state

    def _changed(self, event: Event) -> None:
        args, journal = event.args, self.journal
        patient, passkey = args["patient"], _passkey(args["passkey"])
        state = self._follow(patient)
        before = self.passkeys.get(patient, NO_PASSKEY)
        first = before == NO_PASSKEY
        journal.require(
            not state.since and not (first and passkey == NO_PASSKEY),
            4,
            "R10",
            f"the passkey of {patient} changed while a change waited, or from none to none",
        )
        journal.require(
            any(passkey[2]) or passkey == NO_PASSKEY,
            4,
            "R10",
            f"the passkey of {patient} is for no relying party",
        )
        since = journal.now + (0 if first else self.delay)
        journal.expect(
            4,
            "R10",
            f"since when a passkey of {patient} counts, and the nonce of it",
            (since, state.nonce),
            (args["since"], args["nonce"]),
        )
        if first:
            self.passkeys[patient] = passkey
            self.states[patient] = PasskeyState(nonce=state.nonce + 1)
        else:
            self.changes[patient] = passkey
            self.states[patient] = replace(state, since=since, nonce=state.nonce + 1)

    def _cancelled(self, event: Event) -> None:
        args, journal = event.args, self.journal
        patient, counter = args["patient"], args["counter"]
        state = self._follow(patient)
        journal.require(
            state.since != 0, 4, "R10", f"a change of the passkey of {patient} was cancelled: none"
        )
        journal.require(
            counter == state.counter or _went_up(state.counter, counter),
            4,
            "R10",
            f"the passkey of {patient} cancelled with a counter that had not gone up",
        )
        journal.expect(
            4, "R10", f"nonce of a cancellation by {patient}", state.nonce, args["nonce"]
        )
        self.changes[patient] = NO_PASSKEY
        self.states[patient] = PasskeyState(counter=counter, nonce=state.nonce + 1)

    def _approved(self, event: Event) -> None:
        args, journal = event.args, self.journal
        given = Approved(
            *(args[k] for k in ("patient", "consent", "licensee", "order", "deadline"))
        )
        patient, counter = given.patient, args["counter"]
        name = f"an approval of {patient}"
        state = self._follow(patient)
        journal.require(
            self.passkeys.get(patient, NO_PASSKEY) != NO_PASSKEY,
            4,
            "R10",
            f"{name} came without a passkey",
        )
        journal.require(
            journal.now <= given.deadline <= journal.now + rules.APPROVAL,
            4,
            "R10",
            f"{name} came after its deadline, or too long before it",
        )
        journal.require(
            _went_up(state.counter, counter),
            4,
            "R10",
            f"{name} came with a counter that had not gone up",
        )
        last = self.approvals.get(given.key)
        journal.require(
            last is None or given.deadline > last.deadline, 4, "R10", f"{name} came twice"
        )
        self.states[patient] = replace(state, counter=counter)
        self.approvals[given.key] = given
        order = given.order
        place = (given.consent, order["record"], given.licensee, order["salt"])
        self._by_licence.setdefault(place, []).append(given)

    def _parameter(self, event: Event) -> None:
        args, journal = event.args, self.journal
        journal.require(args["name"] == _DELAY, 7, "R10", "passkeys changed an unknown parameter")
        journal.expect(7, "R10", "the delay of passkeys as it was", self.delay, args["previous"])
        journal.require(
            rules.within(args["current"], rules.PASSKEY_DELAYS),
            7,
            "R10",
            "the delay of passkeys is out of bounds",
        )
        self.delay = args["current"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "PasskeyChanged": _changed,
        "ChangeCancelled": _cancelled,
        "LicenceApproved": _approved,
        "ParameterChanged": _parameter,
    }
    # Nothing follows from asking.
    silent = frozenset({"LicenceRequested"})


# What an approval says of a licence, beside what names it; the price it bounds.
_TOLD = ("form", "units", "end", "purposes", "diseases", "urgent", "agreement")


def _passkey(told: dict[str, Any]) -> Passkey:
    return told["x"], told["y"], told["relyingParty"]


def _went_up(last: int, counter: int) -> bool:
    """An authenticator that counts goes up; one that does not stays at zero."""
    return counter > last or (counter == 0 and last == 0)
