"""Several sources as one: whichever fails is named in the log, and another is asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medtoken.errors import BadInput, IntegrityError, MedtokenError, StoreError

from ._cid import CID
from ._reader import BlockReader
from ._store import BlockMissing, Source

_logger = logging.getLogger(__name__)


class FirstOf:
    """Asks ``sources`` in order; one that lies or does not answer is asked last from then on.

    ``faults`` maps the name of each such source to what it did last.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise BadInput("no source of blocks was named")
        self._sources = list(sources)
        self.faults: dict[str, str] = {}

    @property
    def name(self) -> str:
        """All of them."""
        return " or ".join(source.name for source in self._sources)

    def get_block(self, cid: CID) -> bytes:
        """The verified block from the first source that has it.

        When none does: IntegrityError if one of them lied, BlockMissing if all answered that they
        do not have it, else StoreError; the text says what each one did.
        """
        errors: list[MedtokenError] = []
        for source in list(self._sources):
            try:
                return source.get_block(cid)
            except BlockMissing as error:
                errors.append(error)
            except (StoreError, IntegrityError) as error:
                errors.append(error)
                _logger.warning("%s", error)
                self.faults[source.name] = str(error)
                self._sources.remove(source)
                self._sources.append(source)
        kind = next(
            (k for k in (IntegrityError, StoreError) for e in errors if type(e) is k), BlockMissing
        )
        raise kind("; ".join(map(str, errors)))

    def open(self, cid: CID) -> BlockReader:
        """A seekable stream over a file, each block from whichever source gives it."""
        return BlockReader(cid, self.get_block)
