#!/usr/bin/env python3
"""Speed of the off-chain meters on one core, with a journal on a real disk.

Counts calls on the custodian's side and vouchers verified and kept by it, and writes what one second of one
core carries. The rate is by processor time of this process; by the clock, waiting for the disk included,
stands beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _bench import report

from medtoken.chain.contracts import LicenceRef
from medtoken.messages import Domain
from medtoken.metering import CustodianMeter, LicenseeMeter, Terms, VoucherKey

TARGETS = {
    "custodian_calls": 100_000,
    "licensee_calls": 100_000,
    "vouchers_signed": 5_000,
    "vouchers_verified": 5_000,
}
FLUSH_EVERY = 2_000
MARKET = Domain(31337, "0x" + "ab" * 20)
KEY = VoucherKey(b"\x01" * 32)


def terms(number: int = 1) -> Terms:
    ref = LicenceRef(
        number.to_bytes(32),
        b"\2" * 32,
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        int(KEY.address, 16),
    )
    end = int(time.time()) + 86_400
    return Terms(ref, 10**19, 2**39, 0, end, 0, False, False, 3 * 86_400)


def timed(number: int, work: Callable[[], None]) -> dict[str, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {"per_core_second": round(number / cpu), "per_second": round(number / clock)}


def measure(folder: Path, calls: int, vouchers: int) -> dict[str, Any]:
    known = terms()
    licence = known.ref.id()
    result: dict[str, Any] = {}

    with CustodianMeter(folder / "a", MARKET, credit=2**39) as custodian:
        custodian.sync(known)

        def count() -> None:
            for number in range(1, calls + 1):
                custodian.count(licence, number)
                if number % FLUSH_EVERY == 0:
                    custodian.commit()
            custodian.commit()

        result["custodian_calls"] = timed(calls, count)

    with LicenseeMeter(folder / "b", MARKET, KEY) as licensee:
        licensee.sync(known)

        def use() -> None:
            done = 0
            while done < calls:
                numbers = [licensee.begin(licence) for _ in range(FLUSH_EVERY)]
                licensee.commit()
                for number in numbers:
                    licensee.received(licence, number)
                done += FLUSH_EVERY
            licensee.commit()

        result["licensee_calls"] = timed(calls, use)

    # Each voucher stands for ten calls, and the custodian takes them as they would come.
    with (
        CustodianMeter(folder / "c", MARKET, credit=2**39) as custodian,
        LicenseeMeter(folder / "d", MARKET, KEY) as licensee,
    ):
        custodian.sync(known)
        licensee.sync(known)
        signed = []
        spent = 0.0
        for _ in range(vouchers):
            for _ in range(10):
                number = licensee.begin(licence)
                custodian.count(licence, number)
                licensee.received(licence, number)
            licensee.commit()
            start = time.process_time()
            signed.append(licensee.acknowledge(licence))
            spent += time.process_time() - start
        result["vouchers_signed"] = {"per_core_second": round(vouchers / spent)}

        def accept() -> None:
            for start in range(0, vouchers, 100):
                if any(custodian.accept_many(signed[start : start + 100])):
                    raise RuntimeError("a voucher was refused")

        result["vouchers_verified"] = timed(vouchers, accept)
        if custodian.acknowledged(licence) != 10 * vouchers:
            raise RuntimeError("the meters disagree")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="build/bench/meter.json")
    parser.add_argument("--calls", type=int, default=400_000)
    parser.add_argument("--vouchers", type=int, default=10_000)
    args = parser.parse_args()
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder:
        result = measure(Path(folder), args.calls, args.vouchers)
    for name, row in result.items():
        row["target"] = TARGETS[name]
        met = "met" if row["per_core_second"] > row["target"] else "UNDER"
        print(
            f"{name:18} {row['per_core_second']:>9,} a second of one core, target "
            f"{row['target']:>7,}  {met}"
        )
    report.write(args.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
