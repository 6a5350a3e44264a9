"""Fresh shares of the same key: whatever fails in between, any two keepers still give the key."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from eth_account.signers.local import LocalAccount
from support.keepers import (
    COPY,
    DEK,
    RECORD,
    SLOT,
    STRANGER,
    Wrapped,
    custodianship,
    shred,
)

from medtoken.errors import IntegrityError, KeyRefused
from medtoken.keys import (
    Action,
    Code,
    HpkePrivateKey,
    Keeper,
    KeyKeeper,
    KeyRequest,
    Refused,
    combine,
    release_key,
    rotate,
    sign_with,
    split,
)
from medtoken.keys._keeper import rotation_content
from medtoken.keys._shamir import changed, shares_of_zero

STEPS = 9
"""Three keepers, three steps each."""


@pytest.fixture
def opens(
    request_for: KeyRequest, private_key: HpkePrivateKey, licensee: LocalAccount
) -> Callable[[list[KeyKeeper]], None]:
    """Any two of these keepers give the key."""

    def check(keepers: list[KeyKeeper]) -> None:
        for pair in combinations(keepers, 2):
            key = release_key(
                pair,
                request_for,
                private_key,
                rendition=COPY,
                sign=sign_with(licensee),
                commits_to=lambda dek: dek == DEK,
            )
            assert key == DEK

    return check


Opens = Callable[[list[KeyKeeper]], None]


class Crash(Exception):
    pass


class Counting(Wrapped):
    """Breaks off before (or right after) the n-th step of a rotation, counted over all keepers."""

    def __init__(self, keeper: KeyKeeper, counter: list[int], stop: int, after: bool) -> None:
        super().__init__(keeper)
        self._counter, self._stop, self._after = counter, stop, after

    def __getattr__(self, name: str) -> object:
        found = super().__getattr__(name)
        if name not in ("rotate", "complete", "finish"):
            return found

        def call(*args: object) -> object:
            self._counter[0] += 1
            if self._counter[0] > self._stop:
                raise Crash
            if self._counter[0] == self._stop and not self._after:
                raise Crash
            result = found(*args)
            if self._counter[0] == self._stop:
                raise Crash
            return result

        return call


def test_shares_of_zero_change_the_shares_and_not_the_key() -> None:
    old = split(DEK, RECORD)
    changes = shares_of_zero()
    new = [changed(share.value, change) for share, change in zip(old, changes, strict=True)]
    assert not {share.value for share in old} & set(new)
    assert len(set(changes)) == 3
    # Two changes tell nothing of the key; together with no share they are just numbers.
    values = [
        combine_values(pair, [share.index for share in old], new)
        for pair in combinations(range(3), 2)
    ]
    assert values == [DEK] * 3


def combine_values(pair: tuple[int, ...], indices: list[int], values: list[bytes]) -> bytes:
    from Crypto.Protocol.SecretSharing import Shamir

    return b"".join(
        Shamir.combine([(indices[i], values[i][half]) for i in pair], ssss=False)
        for half in (slice(0, 16), slice(16, 32))
    )


def test_after_a_rotation_old_and_new_shares_do_not_combine(
    keepers: list[KeyKeeper], opens: Opens
) -> None:
    old = [keeper._vault.get(SLOT) for keeper in keepers]
    assert rotate(COPY, keepers, custodianship()) == 2
    new = [keeper._vault.get(SLOT) for keeper in keepers]
    opens(keepers)
    for i, j in combinations(range(3), 2):
        assert combine((new[i], new[j])) == DEK  # type: ignore[arg-type]
        with pytest.raises(IntegrityError, match="same split"):
            combine((old[i], new[j]))  # type: ignore[arg-type]
        # Nor if somebody ignores versions and commitments.
        values = {i: old[i].value, j: new[j].value}  # type: ignore[union-attr]
        assert combine_values((i, j), [1, 2, 3], [values.get(n, b"") for n in range(3)]) != DEK
    assert [keeper.holding(SLOT).staged for keeper in keepers] == [0, 0, 0]
    assert rotate(COPY, keepers, custodianship()) == 3
    opens(keepers)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stop", range(1, STEPS + 1))
def test_a_rotation_that_breaks_off_anywhere_harms_nothing_and_goes_on(
    keepers: list[KeyKeeper], opens: Opens, stop: int, after: bool
) -> None:
    counter = [0]
    breaking: list[Keeper] = [Counting(keeper, counter, stop, after) for keeper in keepers]
    with pytest.raises(KeyRefused, match="not rotated"):
        rotate(COPY, breaking, custodianship())
    opens(keepers)
    version = rotate(COPY, keepers, custodianship())
    assert [keeper.share_version(SLOT) for keeper in keepers] == [version] * 3
    assert [keeper.holding(SLOT).staged for keeper in keepers] == [0, 0, 0]
    opens(keepers)
    assert all(keeper.log() for keeper in keepers)


@pytest.mark.parametrize("silent", range(3))
def test_without_one_of_the_keepers_nothing_is_rotated(
    keepers: list[KeyKeeper], opens: Opens, silent: int
) -> None:
    counter = [STEPS]
    mixed: list[Keeper] = list(keepers)
    mixed[silent] = Counting(keepers[silent], counter, 0, after=False)
    with pytest.raises(KeyRefused, match=keepers[silent].name):
        rotate(COPY, mixed, custodianship())
    opens(keepers)
    assert [keeper.holding(SLOT).newest for keeper in keepers] == [1, 1, 1]


def test_two_rotations_at_once_never_mix(keepers: list[KeyKeeper], opens: Opens) -> None:
    """Another rotation's preparation comes between: the first one fails, the key is safe."""

    class Overtaken(Wrapped):
        def complete(self, *args: object) -> None:
            if not overtaken:
                overtaken.append(True)
                with pytest.raises(KeyRefused):
                    rotate(
                        COPY, [*keepers[:2], Counting(keepers[2], [9], 0, False)], custodianship()
                    )
            self._keeper.complete(*args)  # type: ignore[arg-type]

    overtaken: list[bool] = []
    with pytest.raises(KeyRefused, match="not prepared here"):
        rotate(COPY, [Overtaken(keepers[0]), *keepers[1:]], custodianship())
    opens(keepers)
    rotate(COPY, keepers, custodianship())
    opens(keepers)


def test_a_shredded_record_is_not_rotated(keepers: list[KeyKeeper]) -> None:
    shred(RECORD, keepers)
    with pytest.raises(KeyRefused, match="shredded"):
        rotate(COPY, keepers, custodianship())


def test_destroying_shreds_the_version_on_its_way_too(keepers: list[KeyKeeper]) -> None:
    counter = [0]
    breaking: list[Keeper] = [Counting(keeper, counter, 6, after=True) for keeper in keepers]
    with pytest.raises(KeyRefused):
        rotate(COPY, breaking, custodianship())
    assert [keeper.holding(SLOT).newest for keeper in keepers] == [2, 2, 2]
    shred(RECORD, keepers)
    for keeper in keepers:
        assert keeper._vault.held([SLOT])[0].usable == []
        assert keeper._vault.held([SLOT])[0].staged is None


def test_a_stranger_rotates_nothing(keepers: list[KeyKeeper]) -> None:
    with pytest.raises(KeyRefused, match=r"north: .*custodian"):
        rotate(COPY, keepers, custodianship(STRANGER))
    assert [len(list(keeper.log())) for keeper in keepers] == [1, 1, 1]


def test_no_step_is_taken_out_of_order(keepers: list[KeyKeeper]) -> None:
    keeper, rotation = keepers[0], b"\x0c" * 32
    own = custodianship()

    def expect_refusal(code: Code, call: Callable[[], object]) -> None:
        with pytest.raises(Refused) as refusal:
            call()
        assert refusal.value.code is code

    commitments = (b"\x01" * 32,) * 3
    content = rotation_content(rotation, b"".join(commitments))
    complete = own.order(Action.COMPLETE, COPY, keeper.keeper_id, 2, content)
    expect_refusal(Code.WRONG_VERSION, lambda: keeper.complete(complete, rotation, commitments))
    for version in (1, 2, 3):
        finish = own.order(Action.FINISH, COPY, keeper.keeper_id, version)
        if version == 1:
            assert not keeper.finish(finish)
        else:
            expect_refusal(Code.WRONG_VERSION, lambda finish=finish: keeper.finish(finish))  # type: ignore[misc]
    assert keeper.share_version(SLOT) == 1
