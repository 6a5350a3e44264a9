"""Who may call what: the one declared table of permissions (R29).

Every restricted function of the suite asks the AccessManager, and this table is what the deployment
writes into it. A restricted function that is not named here belongs to ADMIN, the timelock.
What asks something else stands in ``medtoken.deploy.callers``.
"""

from __future__ import annotations

from enum import IntEnum

from medtoken._keccak import keccak


class Role(IntEnum):
    """Role ids in the AccessManager."""

    ADMIN = 0  # the timelock, and nobody else
    COMPLIANCE = 1  # admits exchanges: the admin of EXCHANGE
    EXCHANGE = 2  # issues and redeems DUT
    ADMISSION = 3  # admits participants of DUT
    SANCTIONS = 4  # freezes accounts
    ACCREDITATION = 5  # accredits custodians, annotators, attesters and trustees
    CREDENTIALS = 6  # states the credential groups of licensees
    SUPERVISOR = 7  # suspends licences, names licensees that are related to a custodian
    GUARDIAN = 8  # pauses money in
    LEVY = 9  # hands levies to the treasury
    RECOVERY = 10  # moves soulbound tokens to a recovered wallet
    REDEMPTION = 11  # burns soulbound tokens against services
    REGULATOR = 12  # declares public-health emergencies
    DESK = 13  # contracts that sell in other forms: auctions, baskets, trust
    PRODUCTS = 14  # attests sales and milestones of products
    COUNCIL = (
        15  # cancels rosters that are wrong, corrects what is due, attests feedback, decides claims
    )
    ARBITRATOR = 16  # decides challenges of attested quality
    DISPUTES = 17  # puts what was decided into the registry
    TECHNICAL = 18  # the council's technical seats: verify outcomes


# contract → function → role that may call it
FUNCTION_ROLES: dict[str, dict[str, Role]] = {
    "UsageToken": {
        "issue": Role.EXCHANGE,
        "redeem": Role.EXCHANGE,
        "admit": Role.ADMISSION,
        "setFrozen": Role.SANCTIONS,
    },
    "ContributionToken": {
        "recover": Role.RECOVERY,
        "burn": Role.REDEMPTION,
    },
    "GovernanceToken": {
        "recover": Role.RECOVERY,
        "burn": Role.REDEMPTION,
    },
    "StorageRewards": {
        "set_related": Role.SUPERVISOR,
    },
    "RecordRegistry": {
        "accredit": Role.ACCREDITATION,
        "move": Role.ACCREDITATION,
        "revise": Role.DISPUTES,
        "disqualify": Role.DISPUTES,
    },
    "DataMarket": {
        "set_licensee": Role.CREDENTIALS,
        "set_suspended": Role.SUPERVISOR,
        "pause": Role.GUARDIAN,
        "issue_licence": Role.DESK,
        "charge": Role.DESK,
        "release": Role.DESK,
    },
    "Tariff": {
        "declare_emergency": Role.REGULATOR,
    },
    "Treasury": {
        "receive_levy": Role.LEVY,
    },
    "ResearchDesk": {
        "verify_outcome": Role.TECHNICAL,
    },
    "RoyaltyVault": {
        "attest_sales": Role.PRODUCTS,
        "vest_option": Role.PRODUCTS,
        "cancel": Role.COUNCIL,
        "waive": Role.COUNCIL,
        "pause": Role.GUARDIAN,
    },
    "Rewards": {
        "attest_feedback": Role.COUNCIL,
    },
    "AssetDesk": {
        "cancel": Role.COUNCIL,
    },
    "BreachCover": {
        "decide_claim": Role.COUNCIL,
        "pause": Role.GUARDIAN,
    },
    "CompensationFund": {
        "pause": Role.GUARDIAN,
    },
    "DataTrust": {
        "set_trustee": Role.ACCREDITATION,
    },
    "QualityDisputes": {
        "resolve": Role.ARBITRATOR,
        "pause": Role.GUARDIAN,
    },
}

# Roles whose members another role names; all others are named by ADMIN.
ROLE_ADMINS: dict[Role, Role] = {Role.EXCHANGE: Role.COMPLIANCE}

# Roles of the TimelockController, which does not ask the manager. It alone is its admin; anybody executes;
# who proposes is the operator, who then cancels too, or the governor (R28), after whom nobody cancels.
TIMELOCK_ADMIN = bytes(32)
PROPOSER, CANCELLER, EXECUTOR = (
    keccak(text=f"{name}_ROLE") for name in ("PROPOSER", "CANCELLER", "EXECUTOR")
)

# Roles that contracts hold, beside what the parameters give to people.
CONTRACT_ROLES: dict[Role, tuple[str, ...]] = {
    Role.ADMISSION: ("DataMarket", "RoyaltyVault", "AssetDesk", "BreachCover", "CompensationFund"),
    Role.LEVY: ("DataMarket", "RoyaltyVault"),
    Role.DESK: ("AuctionHouse", "BasketDesk", "ResearchDesk", "DataTrust"),
    Role.REDEMPTION: ("Rewards",),
    Role.DISPUTES: ("QualityDisputes",),
}
