"""The people of a development chain, and how they are set up on a fresh deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medtoken.chain.contracts import Suite
from medtoken.chain.devnet import dev_wallet
from medtoken.chain.node import Node, Wallet
from medtoken.deploy.execute import deploy
from medtoken.deploy.plan import PEOPLE, load_params
from medtoken.deploy.record import Deployment
from medtoken.home import Home
from medtoken.messages import DUT
from medtoken.vocabulary import Capability, group_mask, region_code

Progress = Callable[[str], None]

# Everybody who sends transactions on a development chain; Anvil gives each ether. Patients do not
# stand here: they hold none.
CAST = (
    "deployer",
    "operator",  # proposes to the timelock, runs the platform's offices
    "platform",
    "exchange",
    "hospital",
    "laboratory",
    "annotator",
    "pharma",
    "relay",
    "stranger",
)
REGION = "TW"
# What the licensee buys at the exchange: enough to cross the devnet's supply ceiling (R17).
ISSUED = 20_000_000 * DUT


@dataclass(frozen=True)
class Cast:
    """The wallets by name."""

    wallets: dict[str, Wallet]

    def __getitem__(self, name: str) -> Wallet:
        """The wallet of one of CAST."""
        return self.wallets[name]


def cast() -> Cast:
    """Anvil's development accounts, one for each of CAST."""
    return Cast({name: dev_wallet(i) for i, name in enumerate(CAST)})


def deploy_devnet(node: Node, home: Home, progress: Progress) -> tuple[Suite, Cast]:
    """Deploy the suite with the devnet's parameters, admit its people, keep record and wallets.

    Running it again after a crash goes on where it stopped.
    """
    people = cast()
    for name, wallet in people.wallets.items():
        home.keep_wallet(name, wallet)
    operator = people["operator"].address
    offices = dict.fromkeys(PEOPLE, operator) | {"exchange": people["exchange"].address}
    params = load_params(
        "devnet", operator=operator, platform=people["platform"].address, people=offices
    )
    deployment = deploy(node, people["deployer"], params, network="devnet", progress=progress)
    deployment.save(home.deployment(node.chain_id))
    suite = Suite(node, deployment)
    admit_people(suite, people, progress)
    return suite, people


def open_devnet(node: Node, home: Home) -> tuple[Suite, Cast]:
    """The suite and the people of a development chain that was deployed before."""
    return Suite(node, Deployment.load(home.deployment(node.chain_id))), cast()


def admit_people(suite: Suite, people: Cast, progress: Progress, *, issued: int = ISSUED) -> None:
    """Accredit the institutions, certify the licensee, and let it buy DUT (base units) at the exchange."""
    operator, registry, usage = people["operator"], suite.registry, suite.usage
    capabilities = {
        "hospital": Capability.CUSTODIAN,
        "laboratory": Capability.ATTESTER,
        "annotator": Capability.ANNOTATOR,
    }
    for name, capability in capabilities.items():
        progress(f"accredit the {name}")
        registry.accredit(
            operator, people[name].address, int(capability), key=f"people:accredit:{name}"
        )
    progress("certify the pharmaceutical company")
    suite.market.set_licensee(
        operator,
        people["pharma"].address,
        group_mask(["pharma"]),
        region_code(REGION),
        key="people:certify:pharma",
    )
    for name in ("exchange", "pharma", "hospital", "annotator", "platform"):
        usage.admit(operator, people[name].address, key=f"people:admit:{name}")
    progress(f"the exchange issues {issued // DUT:,} DUT to the company against money received")
    usage.issue(
        people["exchange"],
        people["pharma"].address,
        issued,
        b"demo payment".ljust(32, b"\0"),
        key="people:issue:pharma",
    )
