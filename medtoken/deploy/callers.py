"""Who may call what, beside the table of roles: every function of the suite that changes anything (R29).

``CALLERS`` says for each how it chooses its callers, and in words whom. What the AccessManager decides
is ``RESTRICTED`` here, and ``medtoken.deploy.roles`` says by which role; the rest a contract decides.
A function that stands in neither table is a mistake that a test finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a function chooses who may call it."""

    RESTRICTED = "role"  # the AccessManager decides
    ACCREDITED = "accredited"  # an institution with the capability, on what is its own
    SIGNED = "signed"  # anybody brings what its owner signed
    OWN = "own"  # the caller acts on what is its own
    BOUND = "bound"  # one contract, or the kind of contract, that is named elsewhere
    OPEN = "open"  # anybody, and money goes only to those whose it is
    ONCE = "once"  # the initialisation
    NEVER = "never"  # nobody


@dataclass(frozen=True)
class Caller:
    """How a function chooses its callers, and who they are, in words; empty where a role says it."""

    kind: Kind
    who: str = ""


def _accredited(who: str) -> Caller:
    return Caller(Kind.ACCREDITED, who)


def _signed(who: str) -> Caller:
    return Caller(Kind.SIGNED, f"anybody, with the signature of {who}")


def _own(who: str) -> Caller:
    return Caller(Kind.OWN, who)


def _bound(who: str) -> Caller:
    return Caller(Kind.BOUND, who)


ROLE = Caller(Kind.RESTRICTED)
OPEN = Caller(Kind.OPEN, "anybody")
ONCE = Caller(Kind.ONCE, "nobody: it was done in the deployment")
NEVER = Caller(Kind.NEVER, "nobody: it never moves")

_PATIENT = _signed("the patient")
_BY_PASSKEY = _signed("the patient's passkey")
_EARNER = _signed("whoever earned it")
_OWN_DUT = _own("whoever pays, with DUT of its own")
_LICENSEE = _own("the licensee, from its own deposit")
_CUSTODIAN = _accredited("an accredited custodian")
_OWN_CUSTODIAN = _accredited("the record's own custodian, while it is accredited")
_INSTITUTION = _own("an institution, of its own stake")
_HOLDER = _own("whoever holds the token")
_DESK = _bound("the desk that made the account")
_AUTHORITY = _bound("the AccessManager, when ADMIN has it name another (updateAuthority)")
_MINTER = _bound("the bound minter")
_SOULBOUND = {
    "transfer": NEVER,
    "transferFrom": NEVER,
    "delegate": Caller(Kind.NEVER, "nobody: votes are the holder's own"),
    "delegateBySig": Caller(Kind.NEVER, "nobody: votes are the holder's own"),
    "mint": _MINTER,
    "setAuthority": _AUTHORITY,
    "bindMinter": ROLE,
    "burn": ROLE,
    "recover": ROLE,
}

# contract → function → who may call it
CALLERS: dict[str, dict[str, Caller]] = {
    "DataMarket": {
        "initialize": ONCE,
        "grant_consent": _PATIENT,
        "grant_consents": _signed("each patient"),
        "revoke_consent": _PATIENT,
        "cancel_consent": _PATIENT,
        "withdraw": _EARNER,
        "deposit": _OWN_DUT,
        "deposit_with_permit": _OWN_DUT,
        "reclaim": _LICENSEE,
        "buy_licence": _LICENSEE,
        "use_licence": _own("the licence's licensee"),
        "top_up": _LICENSEE,
        "redeem_vouchers": _signed("the key that the licensee named in the licence"),
        "settle": OPEN,
        "issue_licence": ROLE,
        "charge": ROLE,
        "release": ROLE,
        "set_licensee": ROLE,
        "set_suspended": ROLE,
        "set_agreement": ROLE,
        "set_rates": ROLE,
        "set_platform": ROLE,
        "set_window": ROLE,
        "pause": ROLE,
        "unpause": ROLE,
    },
    "RecordRegistry": {
        "initialize": ONCE,
        "register": _CUSTODIAN,
        "register_batch": _CUSTODIAN,
        "attest": _accredited(
            "an accredited attester, neither the record's custodian nor its annotator"
        ),
        "destroy": _OWN_CUSTODIAN,
        "add_rendition": _OWN_CUSTODIAN,
        "revise": ROLE,
        "disqualify": ROLE,
        "register_from_batch": OPEN,
        "accredit": ROLE,
        "move": ROLE,
        "set_coefficient": ROLE,
        "set_min_quality": ROLE,
    },
    "Tariff": {
        "initialize": ONCE,
        "move_scarcity": OPEN,
        "declare_emergency": ROLE,
        "set_reference": ROLE,
        "set_scarcity": ROLE,
        "set_factor": ROLE,
        "bind_market": ROLE,
    },
    "Treasury": {
        "initialize": ONCE,
        "receive_levy": ROLE,
        "approve_budget": ROLE,
        "spend": _bound("whoever has a budget, within it"),
        "give_back": _bound("whoever has a budget, what it has spent"),
        "burn_reserve": ROLE,
        "set_ceiling": ROLE,
        "set_burn_share": ROLE,
    },
    "ResearchToken": {
        "transfer": NEVER,
        "transferFrom": NEVER,
        "mint": _bound("the bound desk"),
        "burn": _bound("the bound desk"),
        "setAuthority": _AUTHORITY,
        "bindDesk": ROLE,
    },
    "ResearchDesk": {
        "initialize": ONCE,
        "verify_outcome": ROLE,
        "buy": _own("the licensee, from its own deposit and RT"),
        "release": OPEN,
        "set_seats": ROLE,
        "set_share": ROLE,
        "set_reward": ROLE,
    },
    "UsageToken": {
        "transfer": _HOLDER,
        "transferFrom": _own("whoever the holder has allowed it"),
        "approve": _HOLDER,
        "permit": _signed("the holder"),
        "burn": _bound("a protocol contract, DUT of its own"),
        "setAuthority": _AUTHORITY,
        "issue": ROLE,
        "redeem": ROLE,
        "admit": ROLE,
        "setFrozen": ROLE,
        "setProtocol": ROLE,
        "setCap": ROLE,
    },
    "ContributionToken": _SOULBOUND,
    "AuctionHouse": {
        "initialize": ONCE,
        "open_auction": _PATIENT,
        "withdraw_auction": _PATIENT,
        "bid": _LICENSEE,
        "award": OPEN,
        "give_back": OPEN,
        "set_terms": ROLE,
    },
    "BasketDesk": {
        "initialize": ONCE,
        "reserve": _LICENSEE,
        "top_up": _LICENSEE,
        "close": _own("the basket's licensee, and anybody after its time"),
        "take": OPEN,
        "take_many": OPEN,
        "set_steps": ROLE,
    },
    "DataTrust": {
        "initialize": ONCE,
        "set_trustee": ROLE,
        "set_offer": _own("the trustee that the patient's consent names, while it is accredited"),
        "buy": _own("the licensee, from its own deposit"),
        "settle": OPEN,
    },
    "RoyaltyVault": {
        "initialize": ONCE,
        "seal": _CUSTODIAN,
        "undertake": _own("the study's payer"),
        "grant_option": _own("the funder, with DUT of its own"),
        "withdraw": _EARNER,
        "pay": OPEN,
        "hand_over": OPEN,
        "join": OPEN,
        "join_many": OPEN,
        "claim": OPEN,
        "claim_many": OPEN,
        "return_option": OPEN,
        "follow_levy": OPEN,
        "cancel": ROLE,
        "attest_sales": ROLE,
        "waive": ROLE,
        "vest_option": ROLE,
        "set_rate": ROLE,
        "set_window": ROLE,
        "pause": ROLE,
        "unpause": ROLE,
    },
    "GovernanceToken": _SOULBOUND,
    "StorageRewards": {
        "initialize": ONCE,
        "commit": _CUSTODIAN,
        "challenge": OPEN,
        "answer": OPEN,
        "fail": OPEN,
        "mark_calls": OPEN,
        "set_related": ROLE,
        "set_rules": ROLE,
        "set_bonuses": ROLE,
    },
    "Rewards": {
        "initialize": ONCE,
        "count_record": OPEN,
        "count_use": OPEN,
        "nominate": OPEN,
        "award": OPEN,
        "refer": _signed("the referrer"),
        "direct_donation": _signed("the badge's holder"),
        "redeem": _signed("whoever's tokens are burned"),
        "fund": _OWN_DUT,
        "serve": _own("the service's provider"),
        "report_outcome": _own("the licensee of the licences"),
        "attest_feedback": ROLE,
        "adopt_idea": ROLE,
        "set_service": ROLE,
        "set_beneficiary": ROLE,
        "set_parameter": ROLE,
    },
    "BadgeToken": {
        "transferFrom": NEVER,
        "safeTransferFrom": NEVER,
        "mint": _MINTER,
        "setAuthority": _AUTHORITY,
        "bindMinter": ROLE,
    },
    "InstitutionToken": {
        "approve": _HOLDER,
        "setApprovalForAll": _HOLDER,
        "transferFrom": _own("whoever holds the token, or was allowed it"),
        "safeTransferFrom": _own("whoever holds the token, or was allowed it"),
        "mint": _MINTER,
        "setAuthority": _AUTHORITY,
        "bindMinter": ROLE,
    },
    "AssetAccount": {
        "open": _DESK,
        "grant": _DESK,
        "revoke": _DESK,
        "sweep": _DESK,
    },
    "AssetDesk": {
        "initialize": ONCE,
        "create": _OWN_CUSTODIAN,
        "restate": _OWN_CUSTODIAN,
        "refute": OPEN,
        "join": OPEN,
        "collect": OPEN,
        "claim": OPEN,
        "offer": _own("whoever holds the asset's token"),
        "withdraw_offer": _own("whoever holds the asset's token"),
        "withdraw": _EARNER,
        "cancel": ROLE,
        "set_share": ROLE,
        "set_window": ROLE,
    },
    "QualityDisputes": {
        "initialize": ONCE,
        "stake": _INSTITUTION,
        "unstake": _INSTITUTION,
        "challenge": _own("anybody but the attester, with a bond of its own"),
        "resolve": ROLE,
        "lapse": OPEN,
        "withdraw": _own("whoever has something there"),
        "pause": ROLE,
        "unpause": ROLE,
        "set_bond": ROLE,
        "set_window": ROLE,
    },
    "BreachCover": {
        "initialize": ONCE,
        "pay_premium": _own("an accredited custodian, with DUT of its own"),
        "make_claim": _own("the policy's custodian"),
        "decide_claim": ROLE,
        "withdraw": _EARNER,
        "pause": ROLE,
        "unpause": ROLE,
        "set_term": ROLE,
    },
    "CompensationFund": {
        "initialize": ONCE,
        "pay": _own("the licence's licensee, with DUT of its own"),
        "compensate": ROLE,
        "withdraw": _EARNER,
        "pause": ROLE,
        "unpause": ROLE,
    },
    "Passkeys": {
        "initialize": ONCE,
        "change_passkey": _PATIENT,
        "cancel_change": _PATIENT,
        "cancel_change_by_passkey": _BY_PASSKEY,
        "approve": _BY_PASSKEY,
        "request": _own("whoever asks, in its own name"),
        "set_delay": ROLE,
    },
    "ERC7913WebAuthnVerifier": {},  # it only answers
    "LicenceView": {"attest_destruction": _signed("the licensee")},
    "PayoutRelay": {"withdraw_many": _signed("each who earned")},
    "LicenceToken": {
        "show": OPEN,
        "transferFrom": NEVER,
        "safeTransferFrom": NEVER,
    },
}

_MEMBER = _own("whoever holds the role, for itself")
_ROLES_ADMIN = _bound("whoever holds the role's admin role (see the roles)")
_PROPOSER = _bound("a proposer")
_EXECUTOR = _bound("an executor, what was proposed and has waited")
_SELF = _bound("the timelock itself")
_VOTER = _own("whoever held GT or DCT at the snapshot, once")
CARRIED = _bound("the timelock, for a proposal that was carried")
_SENT = Caller(Kind.NEVER, "nobody: it takes no tokens")

# The contracts that decide for all the others; of these the tables above say nothing.
RULERS: dict[str, dict[str, Caller]] = {
    "AccessManager": {
        **dict.fromkeys(
            (
                "labelRole",
                "setRoleAdmin",
                "setRoleGuardian",
                "setGrantDelay",
                "setTargetAdminDelay",
                "setTargetFunctionRole",
                "setTargetClosed",
                "updateAuthority",
            ),
            ROLE,
        ),
        "grantRole": _ROLES_ADMIN,
        "revokeRole": _ROLES_ADMIN,
        "renounceRole": _MEMBER,
        "schedule": _own("whoever may make the call, after its delay"),
        "execute": _own("whoever may make the call"),
        "cancel": _own("whoever scheduled it, the role's guardian, or ADMIN"),
        "consumeScheduledOp": _bound("the contract that is called"),
        "multicall": Caller(Kind.OPEN, "anybody, for what it may do singly"),
    },
    "TimelockController": {
        "schedule": _PROPOSER,
        "scheduleBatch": _PROPOSER,
        "cancel": _bound("a canceller"),
        "execute": _EXECUTOR,
        "executeBatch": _EXECUTOR,
        "updateDelay": _SELF,
        "grantRole": _SELF,
        "revokeRole": _SELF,
        "renounceRole": _MEMBER,
        "onERC721Received": OPEN,
        "onERC1155Received": OPEN,
        "onERC1155BatchReceived": OPEN,
    },
    "MedGovernor": {
        "propose": _own("whoever holds GT or DCT, from the threshold on"),
        "cancel": _own("the proposer, while the council's gate is open"),
        "object": _own("a seat of the council, while its gate is open"),
        "objectBySig": _signed("a seat of the council"),
        "castVote": _VOTER,
        "castVoteWithReason": _VOTER,
        "castVoteWithReasonAndParams": _VOTER,
        "castVoteBySig": _signed("the voter"),
        "castVoteWithReasonAndParamsBySig": _signed("the voter"),
        "queue": Caller(Kind.OPEN, "anybody, what was carried"),
        "execute": Caller(Kind.OPEN, "anybody, what was carried and has waited"),
        "relay": CARRIED,
        "setContributionDivisor": CARRIED,
        "setProposalThreshold": CARRIED,
        "setQuorumShare": CARRIED,
        "setSeat": CARRIED,
        "setVotingPeriod": CARRIED,
        "updateTimelock": CARRIED,
        "onERC721Received": _SENT,
        "onERC1155Received": _SENT,
        "onERC1155BatchReceived": _SENT,
    },
    "ProxyAdmin": {
        "upgradeAndCall": _bound("its owner"),
        "transferOwnership": _bound("its owner"),
        "renounceOwnership": _bound("its owner"),
    },
}
