"""What a relay sends for many members at once: within the contract's limits and a block's gas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from medtoken.chain.contracts import Membership
from medtoken.errors import BadInput
from medtoken.royalty._roster import Roster

MAX_CLAIMS = 100
MAX_JOINS = 50


def claim_batches(accounts: Iterable[str], size: int = MAX_CLAIMS) -> Iterator[list[str]]:
    """Lists of at most ``size`` members for ``claim_many``, each account once."""
    if not 0 < size <= MAX_CLAIMS:
        raise BadInput(f"A batch credits from 1 to {MAX_CLAIMS} members.")
    rest = iter(dict.fromkeys(accounts))
    while batch := list(islice(rest, size)):
        yield batch


def join_batches(
    roster: Roster, accounts: Iterable[str], size: int = MAX_JOINS
) -> Iterator[list[Membership]]:
    """Lists of at most ``size`` proven lines for ``join_many``, each account once.

    Raises BadInput on an account that is not in the roster.
    """
    if not 0 < size <= MAX_JOINS:
        raise BadInput(f"A batch proves from 1 to {MAX_JOINS} lines.")
    rest = iter(dict.fromkeys(accounts))
    while batch := list(islice(rest, size)):
        lines = []
        for account in batch:
            index = roster.index(account)
            if index is None:
                raise BadInput(f"{account} is not in the roster.")
            lines.append(roster.member(index))
        yield lines
