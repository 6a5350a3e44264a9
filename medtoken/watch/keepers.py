"""Key keepers' logs joined with the chain: a key that left without a live licence (R34)."""

from __future__ import annotations

from pathlib import Path

from medtoken import bodies
from medtoken.chain.rpc import Rpc
from medtoken.deploy.record import Deployment
from medtoken.errors import BadInput, IntegrityError, MedtokenError, NodeUnreachable
from medtoken.keeper import wire
from medtoken.keeper.audit import releases_without_licence
from medtoken.keeper.client import HttpKeeper
from medtoken.keys import LogEntry, Refused, verify_log
from medtoken.watch.books import Alert, Kind


class KeeperLog:
    """The log of one keeper, read again at each look; what was seen of it must never change."""

    def __init__(self, source: HttpKeeper | Path) -> None:
        """A pinned keeper that is asked for its log, or the file of one (`medtoken keeper log`)."""
        self._source = source
        self.name = source.name
        self._seen: LogEntry | None = None
        self._found: list[Alert] = []

    def look(self, rpc: Rpc, deployment: Deployment) -> list[Alert]:
        """An alert for each release that the chain does not justify, and for a log that was altered.

        Raises NodeUnreachable when keeper or node do not answer.
        """
        try:
            return self._judged(rpc, deployment)
        except Refused as refusal:
            raise NodeUnreachable(
                f"The key keeper {self.name} does not answer: {refusal}."
            ) from None
        except (IntegrityError, BadInput, LookupError, TypeError, ValueError) as error:
            # Whoever keeps a log may write anything into it, and must not silence who reads it.
            what = str(error) if isinstance(error, MedtokenError) else "an entry is malformed"
            text = f"The log of {self.name} was altered: {what}"
            return [*self._found, self._alert(0, 0, "", (), text)]

    def _judged(self, rpc: Rpc, deployment: Deployment) -> list[Alert]:
        log = self._entries()
        if self._seen is not None and log[-1:] == [self._seen]:
            return self._found
        verify_log(log)
        if (
            self._seen is not None
            and self._seen not in log[self._seen.number - 1 : self._seen.number]
        ):
            raise IntegrityError("entries that were seen before are gone or changed")
        by_number = {entry.number: entry.event for entry in log}
        self._found = [
            self._alert(
                int(by_number[found.entry]["head_block"]),
                int(by_number[found.entry]["time"]),
                found.licence,
                (found.requester,),
                f"{self.name} released a key, entry {found.entry} of its log: {found.reason}",
            )
            for found in releases_without_licence(log, rpc, deployment)
        ]
        self._seen = log[-1] if log else None
        return self._found

    def _entries(self) -> list[LogEntry]:
        if isinstance(self._source, HttpKeeper):
            head = self._source.log_head()
            log = list(self._source.log())
            if len(log) < head.entries or (
                head.entries and log[head.entries - 1].hash != head.hash
            ):
                raise IntegrityError("it is not the one that the keeper signed for")
            return log
        try:
            lines = self._source.read_bytes().splitlines()
        except OSError as error:
            raise NodeUnreachable(f"{self._source} cannot be read: {error.strerror}.") from None
        return [bodies.decoded(line, wire.Entry).entry() for line in lines]

    def _alert(
        self, block: int, time: int, licence: str, parties: tuple[str, ...], text: str
    ) -> Alert:
        return Alert(Kind.RELEASE, "R34", block, time, "", licence, parties, text)
