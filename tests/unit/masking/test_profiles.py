"""A profile is the file that a patient signs: any change of it is another hash (R9)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import medtoken.masking
from medtoken import vocabulary
from medtoken.errors import BadInput
from medtoken.masking import load_profile, narrower, profile_names, profile_of, roles
from medtoken.masking._profile import Profile

FOLDER = Path(medtoken.masking.__file__).parent / "profiles"
TEXT = (FOLDER / "de-identified-1.json").read_bytes()

# What consents commit to. A profile that was released never changes: add a version instead.
RELEASED = {
    "all-1.json": "299e8763bfcf64b9749854e3725d69795a72f07c4f884438d31022f795663a9c",
    "common-variants-1.json": "aded25924cfee64c6748c1c62005111ed6c24b403afbf9ea2dd147301f1cb5c9",
    "de-identified-1.json": "8c2e849ce8a2b8847fa27bc16a076677470ed753213068b2f67cecf792a646cc",
    "genotypes-1.json": "02b5c0d295027876574d1e99241b00e9262e97c0a1baab010f7bcf991922e083",
    "measurements-1.json": "d13525ac158e117153ac5a386adfb0d906fbb061bac517f5685949c69599f58e",
}


def test_the_commitment_is_what_sha256sum_says_of_the_file() -> None:
    for name in profile_names():
        profile = load_profile(name)
        file = FOLDER / f"{name}-{profile.version}.json"
        digest = hashlib.sha256(file.read_bytes()).digest()
        assert vocabulary.profile_hash(name) == profile.digest == digest
        assert vocabulary.profile_words(digest) == profile.line
        found = profile_of(digest)
        assert found is not None
        assert found.name == name


def test_released_profiles_are_what_they_were() -> None:
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in FOLDER.glob("*.json")
        if file.name != "roles.json"
    }
    assert found == RELEASED


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 255))
def test_a_changed_profile_is_another_hash_or_no_profile(at: int, byte: int) -> None:
    changed = TEXT[:at] + bytes([byte]) + TEXT[at + 1 :]
    try:
        digest = Profile(changed, "changed").digest
    except BadInput:
        return
    assert (digest == load_profile("de-identified").digest) == (changed == TEXT)


@given(st.binary(max_size=200))
def test_what_is_no_profile_is_refused_in_a_sentence(text: bytes) -> None:
    with pytest.raises(BadInput, match=r"^x: .+\.$"):
        Profile(text, "x")


def test_a_rule_without_a_reason_is_refused() -> None:
    document = json.loads(TEXT)
    document["table"]["rules"][0]["why"] = " "
    with pytest.raises(BadInput, match="without an element or a reason"):
        Profile(json.dumps(document).encode(), "x")


def test_a_patients_own_profile_is_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_bytes(TEXT.replace(b'"de-identified"', b'"mine"'))
    assert vocabulary.profile_hash(str(own)) == hashlib.sha256(own.read_bytes()).digest()
    assert profile_of(vocabulary.profile_hash(str(own))) is None


@pytest.mark.parametrize("name", ["", "none", "no/such.json", "roles.json", "\0.json"])
def test_an_unknown_profile_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        load_profile(name)


@pytest.mark.parametrize("role", sorted(roles()))
@pytest.mark.parametrize("name", ["all", "de-identified", "measurements"])
def test_a_reader_sees_the_narrower_of_consent_and_role(name: str, role: str) -> None:
    order = ["measurements", "de-identified", "all"]
    expected = min(name, roles()[role], key=order.index)
    assert narrower(load_profile(name), role).name == expected


def test_who_treats_the_patient_sees_all_that_the_consent_lets_out_and_no_more() -> None:
    """R39: reading for care is not masked by role; a consent still may."""
    for name in profile_names():
        assert narrower(load_profile(name), "clinician").name == name
    wider = [role for role in roles() if narrower(load_profile("all"), role).name == "all"]
    assert sorted(wider) == ["clinician", "hospital"]


def test_a_stranger_has_no_role() -> None:
    with pytest.raises(BadInput, match="is no role of a reader"):
        narrower(load_profile("all"), "stranger")


@pytest.mark.parametrize("part", ["fhir", "table", "dicom"])
def test_measurements_let_out_no_element_that_de_identified_keeps(part: str) -> None:
    def named(profile: str) -> set[str]:
        return {one for rule in getattr(load_profile(profile), part).rules for one in rule.of}

    assert named("measurements") <= named("de-identified")
