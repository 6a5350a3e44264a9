"""Every storage slot of our own contracts, rebuilt from the ledger: what their storage root must be.

A view shows what its contract cares to show; the storage root shows everything. So one root that
comes out as the chain's proves that the events told all there is, to the last bit, and that nobody
wrote a word in silence. Standard contracts keep things that no event tells (allowances, what the
timelock forgot); of those the words that the ledger does know are proven one by one, in ``state``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from medtoken import artifacts
from medtoken._keccak import keccak
from medtoken.audit.books.auctions import Auction, Terms, undertaken
from medtoken.audit.books.base import ZERO_ADDRESS
from medtoken.audit.books.baskets import packed_steps
from medtoken.audit.books.governor import Proposal
from medtoken.audit.books.registry import KINDS, copy_commitment, rendition_id
from medtoken.audit.books.rewards import RewardsBook
from medtoken.audit.journal import show
from medtoken.audit.ledger import Ledger
from medtoken.chain.words import GRAIN

IMPLEMENTATION = int.from_bytes(keccak(text="eip1967.proxy.implementation")) - 1
ADMIN = int.from_bytes(keccak(text="eip1967.proxy.admin")) - 1

Key = int | str | bytes
Slot = tuple[int, int]


class Layout:
    """Where Vyper or Solidity keeps a contract's variables."""

    def __init__(self, contract: str) -> None:
        """From the compiler's own account in the contract's artifact."""
        artifact = artifacts.load(contract)
        layout = artifact["storageLayout"]
        self._vyper = artifact["language"] == "Vyper"
        self._slots = (
            dict(_flat(layout))
            if self._vyper
            else {entry["label"]: int(entry["slot"]) for entry in layout["storage"]}
        )
        self.names: dict[int, str] = {}  # of the slots that were asked for

    def at(self, variable: str, *keys: Key) -> int:
        """The slot of a variable (``module.name`` where a module declares it), or of a mapping's entry."""
        slot = self._slots[variable]
        for key in keys:
            slot = self.inside(slot, key)
        self.names[slot] = variable + "".join([f"[{show(key)}]" for key in keys])
        return slot

    def inside(self, slot: int, key: Key) -> int:
        """The slot of an entry of the mapping that is at ``slot``."""
        at, word = slot.to_bytes(32), _word(key)
        return int.from_bytes(keccak(at + word if self._vyper else word + at))


def storage(ledger: Ledger, contract: str) -> tuple[dict[int, int], dict[int, str]]:
    """Every slot of a contract that is not zero, and the names of all slots that the ledger knows.

    ``contract`` is one of ``CONTRACTS`` that the suite has. The ERC-1967 slots of its proxy are among
    them, for proxy and logic share one storage.
    """
    layout = Layout(contract)
    found = dict(CONTRACTS[contract](ledger, layout))
    names = {slot: f"slot {slot}" for slot in found}
    proxy = ledger.proxies.proxies.get(ledger.suite.addresses[contract])
    if proxy is not None:
        found[layout.at("initializer._done")] = 1
        found[IMPLEMENTATION] = int(proxy.implementation, 16)
        found[ADMIN] = int(proxy.admin, 16)
        names |= {IMPLEMENTATION: "the proxy's logic", ADMIN: "the proxy's administrator"}
    return {slot: word for slot, word in found.items() if word}, names | layout.names


def _flat(layout: Mapping[str, object], path: str = "") -> Iterator[tuple[str, int]]:
    for name, entry in layout.items():
        if isinstance(entry, dict):
            if isinstance(entry.get("slot"), int):
                yield path + name, entry["slot"]
            else:
                yield from _flat(entry, f"{path}{name}.")


def _word(key: Key) -> bytes:
    if isinstance(key, bytes):
        return key
    return (int(key, 16) if isinstance(key, str) else key).to_bytes(32)


def _number(data: bytes) -> int:
    return int.from_bytes(data)


def _market(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.market
    for consent, granted in book.consents.items():
        yield layout.at("consents._consents", consent), granted.word.pack()
    for licence, bought in book.licences.items():
        yield layout.at("licences._licences", licence), bought.word.pack()
    for account, licensee in book.licensees.items():
        yield layout.at("accounts._licensees", account), licensee.pack()
    for account, earnings in book.earnings.items():
        yield layout.at("accounts._earnings", account), earnings.pack()
    for (kind, week), amount in ledger.tariff.demand.items():
        yield layout.at("settlement._demand", kind, week), amount
    yield layout.at("rates._current"), book.rates.pack()
    for epoch, rates in book.epochs.items():
        yield layout.at("rates._epochs", epoch), rates.pack()
    yield layout.at("rates._platform"), int(book.platform, 16)
    yield layout.at("licences._agreement"), _number(book.agreement)
    yield layout.at("licences._window"), book.window


def _registry(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.registry
    yield layout.at("institutions._count"), len(book.institutions)
    for number, institution in book.institutions.items():
        word = int(institution.account, 16) | institution.capabilities << 160
        yield layout.at("institutions._institutions", number), word
    for account, number in book.numbers.items():
        yield layout.at("institutions._numbers", account), number
    for record, found in book.records.items():
        yield layout.at("_facts", record), found.facts.pack()
        yield layout.at("_commitments", record), _number(found.commitment)
        for (fields, licence), copy in found.renditions.items():
            copied = layout.at("_renditions", rendition_id(record, fields, licence))
            yield copied, _number(copy_commitment(copy))
    for (custodian, root), batch in book.batches.items():
        yield layout.at("_batches", custodian, root), batch.count
    for kind in KINDS:
        yield layout.at("_coefficients", kind), book.parameters[f"coefficient {kind}"]
        yield layout.at("_supply", kind), book.supply[kind]
    yield layout.at("_min_quality"), book.parameters["min_quality"]
    for first, last in book.latest.items():
        yield layout.at("_latest", first), _number(last)


def _tariff(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.tariff
    for kind, word in book.kinds.items():
        yield layout.at("_kinds", kind), word.pack()
    yield layout.at("_factors"), book.factors.pack()
    for region, until in book.emergencies.items():
        yield layout.at("_emergencies", region), until
    yield layout.at("_market"), int(book.market, 16)
    for kind in KINDS:
        yield layout.at("_levels", kind), book.levels.get(kind, 0)


def _treasury(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.treasury
    yield layout.at("_levies"), book.levies
    yield layout.at("_gone"), book.burned | book.spent << 128
    for spender, budget in book.budgets.items():
        yield layout.at("_budgets", spender), budget.pack()
    for spender, drawn in book.drawn.items():
        yield layout.at("_drawn", spender), drawn.pack()
    for name in ("ceiling", "burn_share"):
        yield layout.at(f"_{name}"), book.parameters[name]


def _auctions(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.auctions
    for auction, found in book.auctions.items():
        yield layout.at("_auctions", auction), _auction(found)
        bid = found.undertaking if found.held else None
        word = found.price // GRAIN | undertaken(bid) << 64 if bid else 0
        yield layout.at("_bids", auction), word
    yield layout.at("_terms"), _terms(book.terms)


def _auction(found: Auction) -> int:
    opened, done = found.offer is not None, found.outcome is not None
    word = int(found.bidder, 16) | found.ends << 160 | opened << 248 | done << 249
    return word | _terms(found.terms)


def _terms(terms: Terms) -> int:
    return terms.increment << 200 | terms.extension << 216 | terms.patience << 240


def _baskets(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.baskets
    for basket, found in book.baskets.items():
        word = found.left | len(found.taken) << 128 | found.steps << 156 | found.closed << 172
        yield layout.at("_baskets", basket), word
    for version, steps in book.steps.items():
        yield layout.at("_steps", version), packed_steps(steps)
    yield layout.at("_version"), book.version


def _royalties(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.royalties
    yield layout.at("_settings"), book.settings.pack()
    for study, found in book.studies.items():
        yield layout.at("_studies", study), found.word.pack()
        yield layout.at("_roots", study), _number(found.root)
        yield layout.at("_books", study), found.books.pack()
        yield layout.at("_shares", study), found.shares.pack()
        for account, member in found.members.items():
            yield layout.at("_members", study, account), member.pack()
        for period, attested in found.periods.items():
            yield layout.at("_periods", study, period), attested.pack()
    for option, word in book.options.items():
        yield layout.at("_options", option), word.pack()
    for account, balance in book.balances.items():
        yield layout.at("payouts._balances", account), balance.pack()


def _storage_rewards(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.storage
    for custodian, holding in book.holdings.items():
        yield layout.at("_holdings", custodian), holding.pack()
    for custodian, root in book.roots.items():
        yield layout.at("_roots", custodian), _number(root)
    for custodian, tally in book.tallies.items():
        yield layout.at("_tallies", custodian), tally.pack()
    for licence, mark in book.marks.items():
        yield layout.at("_marks", licence), mark.pack()
    for (custodian, licensee), related in book.related.items():
        yield layout.at("_related", custodian, licensee), related
    for place, name in enumerate(("threshold", "samples", "gap", "window", "price")):
        yield layout.at("_rules") + place, book.rules[name]
    first = layout.at("_bonuses")
    yield first, len(book.bonuses)
    # A shorter list leaves the words of the longer one behind its end.
    for place, (calls, share) in enumerate(book.bonuses_written):
        yield first + 1 + 2 * place, calls
        yield first + 2 + 2 * place, share


def _rewards(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    yield from _credit(ledger.rewards, layout)
    yield from _services(ledger.rewards, layout)


def _credit(book: RewardsBook, layout: Layout) -> Iterator[Slot]:
    for account, credit in book.accounts.items():
        yield layout.at("_accounts", account), credit.pack()
    for (board, period, account), points in book.points.items():
        yield layout.at("_points", board, period, account), points
    for (board, period), top in book.tops.items():
        for place, (points, account) in enumerate(top):
            word = int(account, 16) | points << 160
            yield layout.at("_tops", board, period) + place, word
    for board, period in book.awarded:
        yield layout.at("_awarded", board, period), 1
    for key in book.counted:
        yield layout.at("_counted", keccak(b"".join(map(_word, key)))), 1
    for licence, gross in book.gross.items():
        yield layout.at("_gross", licence), gross
    for (account, month), number in book.referrals.items():
        yield layout.at("_referrals", account, month), number
    for name in ("donation", "least", "threshold"):
        yield layout.at(f"_{name}"), book.parameters[name]


def _services(book: RewardsBook, layout: Layout) -> Iterator[Slot]:
    for service, offer in book.services.items():
        first = layout.at("_services", service)
        yield first, int(offer["provider"], 16)
        for place, name in enumerate(("token", "price", "points"), 1):
            yield first + place, offer[name]
    for voucher, redeemed in book.vouchers.items():
        yield layout.at("_vouchers", voucher), redeemed.pack()
    yield layout.at("_voucher_count"), len(book.vouchers)
    for recipient, listed in book.beneficiaries.items():
        yield layout.at("_beneficiaries", recipient), listed
    for badge in book.donated:
        yield layout.at("_donated", badge), 1
    yield layout.at("_budget"), book.budget
    for record, outcomes in book.outcomes.items():
        for place, outcome in enumerate(outcomes):
            yield layout.at("_outcomes", record, place), outcome
        yield layout.at("_outcome_counts", record), len(outcomes)
    yield layout.at("_outcome_count"), len(book.reported)


def _disputes(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.disputes
    for record, found in book.open.items():
        first = layout.at("_disputes", record)
        words = (
            int(found.challenger, 16),
            found.attester,
            _number(found.claim),
            found.bond,
            found.at_risk,
            found.deadline,
        )
        yield from ((first + place, word) for place, word in enumerate(words))
    for attester, stake in book.stakes.items():
        yield layout.at("_stakes", attester), stake
    for account, credit in book.credits.items():
        yield layout.at("_credits", account), credit
    for name in ("bond", "window"):
        yield layout.at(f"_{name}"), book.parameters[name]
    yield layout.at("_paused"), book.paused


def _assets(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.assets
    for asset, found in book.assets.items():
        yield layout.at("_assets", asset), found.word.pack()
        yield layout.at("_roots", asset), _number(found.root)
        yield layout.at("_totals", asset), found.total
        yield layout.at("_books", asset), found.books.pack()
        for licence, line in found.lines.items():
            yield layout.at("_lines", asset, licence), line.pack()
    for account, balance in book.balances.items():
        yield layout.at("payouts._balances", account), balance.pack()
    for name in ("share", "window"):
        yield layout.at(f"_{name}"), book.parameters[name]


def _passkeys(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.passkeys
    for variable, found in (("_passkeys", book.passkeys), ("_changes", book.changes)):
        for patient, passkey in found.items():
            first = layout.at(variable, patient)
            yield from ((first + place, _number(part)) for place, part in enumerate(passkey))
    for patient, state in book.states.items():
        yield layout.at("_states", patient), state.pack()
    for key, approved in book.approvals.items():
        yield layout.at("_approvals", key), approved.deadline
    yield layout.at("_delay"), book.delay


def _cover(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.cover
    for policy, word in book.policies.items():
        yield layout.at("_policies", policy), word.pack()
        yield layout.at("_paid", policy), book.paid[policy]
    for claim, state in book.states.items():
        yield layout.at("_claims", claim), state
    yield layout.at("_count"), len(book.policies)
    yield layout.at("_pool"), book.pool
    yield layout.at("_term"), book.term
    yield layout.at("_paused"), book.paused
    for account, balance in book.balances.items():
        yield layout.at("payouts._balances", account), balance.pack()


def _fund(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.fund
    yield layout.at("_kept"), book.kept
    yield layout.at("_paused"), book.paused
    for account, balance in book.balances.items():
        yield layout.at("payouts._balances", account), balance.pack()


def _trust(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.trust
    for trustee, accredited in book.trustees.items():
        yield layout.at("_trustees", trustee), accredited
    for (consent, record), offer in book.offers.items():
        yield layout.at("_offers", consent, record), offer.pack()
    for licence, sale in book.sales.items():
        yield layout.at("_sales", licence), sale.pack()


def _research(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.research
    for name in ("seats", "share"):
        yield layout.at(f"_{name}"), getattr(book, name)
    for kind, amount in book.rewards.items():
        yield layout.at("_rewards", kind), amount
    for outcome, seats in book.votes.items():
        yield layout.at("_votes", outcome), len(seats)
        for seat in seats:
            yield layout.at("_verified", outcome, seat), 1
    for evidence, outcome in book.rewarded.items():
        yield layout.at("_rewarded", evidence), _number(outcome)
    for licence, support in book.supports.items():
        yield layout.at("_supports", licence), support.pack()


def _statements(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    for licence, statement in ledger.destructions.statements.items():
        yield layout.at("_statements", licence), _number(statement)


def _governor(ledger: Ledger, layout: Layout) -> Iterator[Slot]:
    book = ledger.governor
    name = b"medtoken governor"
    yield layout.at("_name"), _number(name.ljust(32, b"\0")) | 2 * len(name)
    yield layout.at("_proposalThreshold"), book.threshold
    yield layout.at("_votingDelay"), book.delay | book.period << 48
    yield layout.at("_timelock"), int(book.obeyed, 16)
    for account, nonce in book.nonces.items():
        yield layout.at("_nonces", account), nonce
    queue = layout.at("_governanceCall")
    yield queue, book.calls.begin | book.calls.end << 128
    for place, call in book.calls.words.items():
        yield layout.inside(queue + 1, place), _number(call)
    seats = layout.at("_seats")
    yield seats, len(book.seats)
    left = [ZERO_ADDRESS] * (book.most_seats - len(book.seats))
    for place, account in enumerate(book.seats + left, _number(keccak(seats.to_bytes(32)))):
        yield place, int(account, 16)
    for account, chamber in book.chambers.items():
        yield layout.at("_chambers", account), chamber
    for variable, values in (("_divisors", book.divisors), ("_quorumShares", book.quorum_shares)):
        marks = layout.at(variable)
        yield marks, len(values)
        first = _number(keccak(marks.to_bytes(32)))
        for place, (since, value) in enumerate(values.items(), first):
            yield place, since | value << 48
    for number, proposal in book.proposals.items():
        yield from _proposal(number, proposal, layout)
        # Whoever ever had a seat: a development node also keeps the zeros that an objection read.
        for seat in book.chambers:
            yield layout.at("_objected", number, seat), seat in proposal.objected


def _proposal(number: int, found: Proposal, layout: Layout) -> Iterator[Slot]:
    core = layout.at("_proposals", number)
    times = found.gate_end << 160 | (found.vote_end - found.gate_end) << 208
    yield core, int(found.proposer, 16) | times | found.executed << 240 | found.cancelled << 248
    yield core + 1, found.eta
    votes = layout.at("_proposalVotes", number)
    yield from ((votes + place, weight) for place, weight in enumerate(found.tally))
    for voter in found.voters:
        yield layout.inside(votes + 3, voter), 1
    operation = b"" if found.executed else found.operation
    yield layout.at("_timelockIds", number), _number(operation)
    word = found.snapshot | found.about_seats << 48 | found.rejected << 56
    yield layout.at("_gates", number), word


CONTRACTS: dict[str, Callable[[Ledger, Layout], Iterator[Slot]]] = {
    "DataMarket": _market,
    "RecordRegistry": _registry,
    "Tariff": _tariff,
    "Treasury": _treasury,
    "AuctionHouse": _auctions,
    "BasketDesk": _baskets,
    "RoyaltyVault": _royalties,
    "StorageRewards": _storage_rewards,
    "Rewards": _rewards,
    "QualityDisputes": _disputes,
    "Passkeys": _passkeys,
    "BreachCover": _cover,
    "CompensationFund": _fund,
    "AssetDesk": _assets,
    "LicenceView": _statements,
    "ResearchDesk": _research,
    "DataTrust": _trust,
    "MedGovernor": _governor,
}
