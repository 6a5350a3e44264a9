"""Patients' passkeys on the chain, and what they approved (R10).

As in ``contracts``: a method that sends takes the sender's wallet first and an optional ``key``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from medtoken.chain.contracts import Order, _Contract
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.words import PasskeyState
from medtoken.errors import BadInput
from medtoken.messages import Domain, LicenceApproval, PasskeyChange
from medtoken.passkeys import Assertion, Passkey


@dataclass(frozen=True)
class Request:
    """A licensee's request that a patient approve an order, as the chain keeps it."""

    consent: bytes
    licensee: str
    order: Order
    block: int

    def approval(self, patient: str, deadline: int) -> LicenceApproval:
        """What the patient's passkey approves, until ``deadline`` (unix seconds)."""
        return LicenceApproval(
            patient=patient,
            consent=self.consent,
            licensee=self.licensee,
            **asdict(self.order),
            deadline=deadline,
        )


class Passkeys(_Contract):
    """One passkey for each patient, and approvals of single licences."""

    name = "Passkeys"

    @property
    def domain(self) -> Domain:
        """In which PasskeyChange, PasskeyCancellation and LicenceApproval are signed."""
        return Domain(self._node.chain_id, self.address)

    def of(self, patient: str) -> Passkey:
        """The passkey that counts now."""
        return Passkey(**self.read("passkey_of", patient))

    def change_of(self, patient: str) -> tuple[Passkey, int] | None:
        """What the passkey becomes and since when (unix seconds), or None when no change waits."""
        passkey, since = self.read("change_of", patient)
        return (Passkey(**passkey), int(since)) if since else None

    def state(self, patient: str) -> PasskeyState:
        """Its counter, and the nonce of the wallet's next signature."""
        return PasskeyState.unpack(int(self.read("state_word", patient)))

    def delay(self) -> int:
        """Seconds until a change counts."""
        return int(self.read("delay"))

    def approved_until(self, patient: str, consent: bytes, licensee: str, order: Order) -> int:
        """Unix seconds until which an order is approved; zero when it never was."""
        return int(self.read("approved_until", patient, consent, licensee, asdict(order)))

    def requests(self, consent: bytes) -> list[Request]:
        """Everything that licensees asked for under a consent, in the chain's order."""
        return [
            Request(
                log.args["consent"], log.args["licensee"], Order(**log.args["order"]), raw.block
            )
            for raw, log in self.find("LicenceRequested", consent)
        ]

    def request_of(self, consent: bytes, number: int) -> Request:
        """The ``number``-th request under a consent, from 1. Raises BadInput when there is none."""
        found = self.requests(consent)
        if not 0 < number <= len(found):
            raise BadInput(f"There is no request {number} under the consent 0x{consent.hex()}.")
        return found[number - 1]

    def number_of(self, consent: bytes, licensee: str, order: Order) -> int:
        """The number, from 1, of a licensee's own request of an order.

        Anybody can send the same order first, in its own name. Raises BadInput when there is none.
        """
        for number, found in enumerate(self.requests(consent), 1):
            if found.licensee.lower() == licensee.lower() and found.order == order:
                return number
        raise BadInput(f"{licensee} asked for no such licence under 0x{consent.hex()}.")

    def change(
        self, wallet: Wallet, message: PasskeyChange, signature: bytes = b"", key: str | None = None
    ) -> Receipt:
        """Bring a change that a patient signed; without a signature the wallet is the patient."""
        passkey = {"x": message.x, "y": message.y, "relyingParty": message.relyingParty}
        args = (message.patient, passkey, message.deadline, signature)
        return self.send(wallet, "change_passkey", *args, key=key)

    def cancel(
        self, wallet: Wallet, patient: str, signature: bytes = b"", key: str | None = None
    ) -> Receipt:
        """Bring the cancellation of a change that waits, signed by the patient's wallet."""
        return self.send(wallet, "cancel_change", patient, signature, key=key)

    def cancel_by_passkey(
        self, wallet: Wallet, patient: str, assertion: Assertion, key: str | None = None
    ) -> Receipt:
        """Bring the cancellation of a change that waits, by the passkey that still counts."""
        args = (patient, asdict(assertion))
        return self.send(wallet, "cancel_change_by_passkey", *args, key=key)

    def request(
        self, wallet: Wallet, consent: bytes, order: Order, key: str | None = None
    ) -> Receipt:
        """Ask the patient of a consent to approve an order of the wallet's."""
        return self.send(wallet, "request", consent, asdict(order), key=key)

    def approve(
        self, wallet: Wallet, message: LicenceApproval, assertion: Assertion, key: str | None = None
    ) -> Receipt:
        """Bring an approval that a patient's passkey made. Anybody may."""
        values = message.values()
        outer = {name: values.pop(name) for name in ("patient", "consent", "licensee", "deadline")}
        args = ({**outer, "order": values}, asdict(assertion))
        return self.send(wallet, "approve", *args, key=key)
