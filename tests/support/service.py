"""The service on an in-process chain: nothing listens, nothing waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medtoken.audit.follow import Follower
from medtoken.audit.source import CONTRACTS
from medtoken.chain.node import refused
from medtoken.messages import (
    Consent,
    Domain,
    LicenceApproval,
    PasskeyCancellation,
    PasskeyChange,
    Revocation,
    Withdrawal,
)
from medtoken.passkeys import Assertion
from medtoken.service.app import Limits, Service
from medtoken.service.books import MarketBooks
from medtoken.service.relay import Relaying
from support.asgi import Answer, ask
from support.evm import CHAIN_ID, Contract, Reverted
from support.recording import EvmChain, deployment_of
from support.world import World


@dataclass
class Carried:
    """A relay on the in-process chain, which remembers what it was given."""

    world: World
    sent: list[str] = field(default_factory=list)

    def grant(self, consent: Consent, signature: bytes) -> bytes:
        return bytes(self._send("grant_consent", consent.values(), signature))

    def revoke(self, revocation: Revocation, signature: bytes) -> None:
        self._send("revoke_consent", revocation.consent, signature)

    def withdraw(self, withdrawal: Withdrawal, signature: bytes) -> dict[str, Any]:
        w = withdrawal
        self._send("withdraw", w.account, w.to, w.amount, w.deadline, signature)
        return {"account": w.account, "to": w.to, "amount": w.amount}

    def change_passkey(self, message: PasskeyChange, signature: bytes) -> None:
        passkey = {"x": message.x, "y": message.y, "relyingParty": message.relyingParty}
        args = (message.patient, passkey, message.deadline, signature)
        self._send("change_passkey", *args, to=self.world.passkeys)

    def cancel_passkey(self, message: PasskeyCancellation, signature: bytes) -> None:
        self._send("cancel_change", message.patient, signature, to=self.world.passkeys)

    def approve(self, message: LicenceApproval, assertion: Assertion) -> None:
        order = message.values()
        outer = {k: order.pop(k) for k in ("patient", "consent", "licensee", "deadline")}
        args = ({**outer, "order": order}, vars(assertion))
        self._send("approve", *args, to=self.world.passkeys)

    def _send(self, function: str, *args: Any, to: Contract | None = None) -> Any:
        try:
            contract = to or self.world.market
            out = getattr(contract, function)(*args, sender=self.world.people.relay)
        except Reverted as error:
            raise refused(str(error)) from None
        self.sent.append(function)
        return out


@dataclass
class Live:
    """A service that follows a world."""

    world: World
    service: Service
    carried: Carried

    def get(self, path: str, **more: Any) -> Any:
        """What the service says of the chain as it is now."""
        self.service.watching.look()
        return self.raw("GET", path, **more).ok()

    def raw(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return ask(self.service.app, method, path, body, **more)

    def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> str:
        """The one sentence of a refusal."""
        self.service.watching.look()
        answer = self.raw(method, path, body, **more)
        assert answer.status == status, answer.body
        found = answer.json()
        assert found.keys() == {"code", "detail", "status", "retry"}
        assert found["status"] == status
        assert found["detail"].endswith(".")
        assert "\n" not in found["detail"]
        return str(found["detail"])


def serving(world: World, *, relay: bool = True, limits: Limits | None = None, **how: Any) -> Live:
    addresses = {name: world.suite[name].address for name in CONTRACTS}
    record = deployment_of(addresses, world.people.deployer)
    follower = Follower(EvmChain(world.evm), record, MarketBooks)  # type: ignore[arg-type]
    domain, carried = Domain(CHAIN_ID, world.market.address), Carried(world)
    relaying = Relaying(
        carried,
        domain,
        passkeys=world.passkey_domain,
        is_contract=lambda account: bool(world.evm.code(account)),
        **how,
    )
    service = Service(follower, domain, relay=relaying if relay else None, limits=limits)
    return Live(world, service, carried)
