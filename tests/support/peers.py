"""A custodian and a licensee as processes of their own, for tests that kill them at any moment.

``python peers.py custodian FOLDER SOCKET`` serves calls on a Unix socket; ``python peers.py licensee FOLDER
SOCKET CALLS`` makes that many calls, acknowledges as it goes, and exits 0 when all is settled. Either
may be killed at any time and started again.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from medtoken.errors import MeterRefused  # noqa: E402
from medtoken.metering import (  # noqa: E402
    Acknowledgement,
    CustodianMeter,
    LicenseeMeter,
    request_tag,
)
from support.meters import KEY, MARKET, terms  # noqa: E402

CREDIT = 60
BATCH = 20
COMPACT_AT = 4_000
KNOWN = terms(prepaid=10**6, end=2**39)
LICENCE = KNOWN.ref.id()


def units_of(number: int) -> int:
    """Calls differ in size, so that a mistake shows in the sum."""
    return 1 + number % 3


def total(calls: int) -> int:
    return sum(units_of(n) for n in range(1, calls + 1))


def custodian(folder: Path, address: str) -> None:
    meter = CustodianMeter(folder / "custodian", MARKET, credit=CREDIT, compact_at=COMPACT_AT)
    meter.sync(KNOWN)
    served = os.open(folder / "served", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        while True:
            peer, _ = server.accept()
            with contextlib.suppress(OSError), peer, peer.makefile("rw") as stream:
                for line in stream:
                    answer = _answer(meter, json.loads(line), served)
                    stream.write(json.dumps(answer) + "\n")
                    stream.flush()


def _answer(meter: CustodianMeter, asked: dict[str, Any], served: int) -> dict[str, Any]:
    if "voucher" in asked:
        meter.accept(Acknowledgement.from_json(asked["voucher"]))
        return {"taken": True}
    answers, refused = [], ""
    for number, units, request in asked["calls"]:
        try:
            meter.count(LICENCE, number, units, bytes.fromhex(request))
        except MeterRefused as refusal:
            refused = str(refusal)
            break
        answers.append(number)
    meter.commit()
    assert meter.counted(LICENCE) - meter.acknowledged(LICENCE) <= CREDIT
    os.write(served, b"".join(b"%d\n" % n for n in answers))
    return {"answers": answers, "refused": refused}


def licensee(folder: Path, address: str, calls: int) -> None:
    meter = LicenseeMeter(folder / "licensee", MARKET, KEY, compact_at=COMPACT_AT)
    meter.sync(KNOWN)
    while not _session(meter, address, calls):
        time.sleep(0.01)
    assert meter.received_units(LICENCE) == total(calls)
    meter.close()


def _session(meter: LicenseeMeter, address: str, calls: int) -> bool:
    """Work until the connection breaks; whether everything is settled."""
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as link:
        link.connect(address)
        with link.makefile("rw") as stream:
            while True:
                waiting = meter.open_calls(LICENCE)
                while len(waiting) < BATCH:
                    number = meter._by_id[LICENCE].next
                    if number > calls:
                        break
                    meter.begin(LICENCE, units_of(number), request_tag(b"call %d" % number))
                    waiting = meter.open_calls(LICENCE)
                meter.commit()
                if waiting:
                    sent = [(c.number, c.units, c.request.hex()) for c in waiting]
                    for number in _ask(stream, {"calls": sent})["answers"]:
                        meter.received(LICENCE, number)
                ack = meter.acknowledge(LICENCE)
                _ask(stream, {"voucher": ack.to_json()})
                meter.confirmed(ack)
                if not waiting:
                    return True
    return False


def _ask(stream: IO[str], question: dict[str, Any]) -> dict[str, Any]:
    stream.write(json.dumps(question) + "\n")
    stream.flush()
    answer: dict[str, Any] = json.loads(stream.readline())
    return answer


if __name__ == "__main__":
    side, where, at, *rest = sys.argv[1:]
    if side == "custodian":
        custodian(Path(where), at)
    else:
        licensee(Path(where), at, int(rest[0]))
