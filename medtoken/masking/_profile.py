"""Profiles as data: files of the package, hashed as they are, so ``sha256sum`` checks a consent."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from medtoken.errors import BadInput

_FOLDER = resources.files("medtoken.masking") / "profiles"
_FORMAT = "medtoken masking profile 1"
_LIMIT = 1 << 20

How = Literal[
    "age", "boolean", "code", "coding", "concept", "date", "empty", "genotype", "number", "pixels",
    "pseudonym", "quantity", "reference", "registered-uid", "rs-number", "site", "time", "uid", "year",
]  # fmt: skip
"""What may happen to an element that a profile names; ``docs/masking.md`` says what each does."""

FIELDS: dict[str, Any] = {
    "fixed": ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER"),
    "site": ("CHROM", "POS", "REF", "ALT"),
    "INFO": {
        "AC": ("A", "Integer", "Count of each alternate allele"),
        "AF": ("A", "Float", "Frequency of each alternate allele"),
        "AN": ("1", "Integer", "Count of all alleles called"),
        "DP": ("1", "Integer", "Reads over all samples"),
        "MQ": ("1", "Float", "Mapping quality"),
        "NS": ("1", "Integer", "Samples with data"),
    },
    "FORMAT": {
        "GT": ("1", "String", "Genotype"),
        "GQ": ("1", "Float", "Quality of the genotype"),
        "DP": ("1", "Integer", "Reads"),
        "AD": (".", "Integer", "Reads of each allele"),
        "PL": ("G", "Integer", "Scaled likelihoods of the genotypes"),
    },
}
"""What a profile may name of a VCF: its columns, and names that the format itself reserves, with the
declaration that heads a masked file."""
_VCF_RULES: dict[str, How] = {
    **dict.fromkeys(FIELDS["site"], "site"),
    "ID": "rs-number",
    "QUAL": "number",
    "FILTER": "code",
    "SAMPLE": "pseudonym",
    **{f"INFO.{name}": "number" for name in FIELDS["INFO"]},
    **{f"FORMAT.{name}": "number" for name in FIELDS["FORMAT"]},
    "FORMAT.GT": "genotype",
}
_REGION = re.compile(r"([1-9]|1[0-9]|2[0-2]|X|Y|M):([0-9]{1,10})-([0-9]{1,10})")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"as_": "as"}):
    """One rule: the elements it is about, what happens to them, and the reason."""

    of: list[str]
    as_: How
    why: str
    values: list[str] = []
    """For ``code``: the only values that pass."""
    must: bool = False
    """Whether the object around the element is left out when the element is."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a profile says of one format: rules, the file as it is, or a refusal."""

    rules: list[Rule] = []
    whole: bool = False
    refuse: str = ""
    dates: Literal["shifted", "relative"] = "shifted"
    regions: dict[str, list[str]] = {}
    """Of a VCF: by reference genome, the only places that leave, such as ``10:94762681-94855547``."""
    frequency: float = 0.0
    """Of a VCF: variants leave that have no allele rarer than this by the file's own INFO/AF."""

    def regions_on(self, assembly: str) -> Iterator[tuple[str, int, int]]:
        """Chromosome, first and last position of each region. Raises ValueError for what is none."""
        for text in self.regions[assembly]:
            match = _REGION.fullmatch(text)
            if not match or int(match[2]) > int(match[3]):
                raise ValueError(text)
            yield match[1], int(match[2]), int(match[3])


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    name: str
    version: int
    line: str
    within: list[str]
    fhir: Part = Part()
    table: Part = Part()
    dicom: Part = Part()
    vcf: Part = Part()


class Profile:
    """A masking profile. ``digest`` is what a consent's ``fields`` holds."""

    def __init__(self, text: bytes, source: str) -> None:
        """Raises BadInput when ``text`` is not a profile; ``source`` names it in the sentence."""
        try:
            self._document = msgspec.json.decode(text, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"{source}: is not a masking profile ({error}).") from None
        if self._document.format != _FORMAT:
            raise BadInput(f"{source}: is not written in the format {_FORMAT!r}.")
        self.digest = hashlib.sha256(text).digest()
        """SHA-256 of the file."""
        for part in (self.fhir, self.table, self.dicom, self.vcf):
            for rule in part.rules:
                if not rule.why.strip() or not rule.of:
                    raise BadInput(f"{source}: has a rule without an element or a reason.")
                if rule.as_ == "code" and not rule.values:
                    raise BadInput(f"{source}: lets the codes {rule.of[0]} pass but lists none.")
        _check_vcf(self.vcf, source)
        if any(part.regions or part.frequency for part in (self.fhir, self.table, self.dicom)):
            raise BadInput(f"{source}: has regions or a frequency for what is no genome.")

    @property
    def name(self) -> str:
        """Such as ``de-identified``."""
        return self._document.name

    @property
    def version(self) -> int:
        """1 for the first. A profile that was released never changes: a change is a new version."""
        return self._document.version

    @property
    def line(self) -> str:
        """The words a patient reads before signing."""
        return self._document.line

    @property
    def within(self) -> list[str]:
        """Names of the profiles that let out everything that this one does."""
        return self._document.within

    @property
    def fhir(self) -> Part:
        """For FHIR bundles: elements are paths such as ``Observation.code``."""
        return self._document.fhir

    @property
    def table(self) -> Part:
        """For CSV: elements are names of columns; a rule's first one heads the masked column."""
        return self._document.table

    @property
    def dicom(self) -> Part:
        """For DICOM: elements are keywords of attributes."""
        return self._document.dicom

    @property
    def vcf(self) -> Part:
        """For VCF: elements are columns, ``INFO.AF``, ``FORMAT.GT``, and ``SAMPLE``: its name."""
        return self._document.vcf


def _check_vcf(part: Part, source: str) -> None:
    """BadInput when a rule, region or frequency means nothing to a VCF."""
    for rule in part.rules:
        for element in rule.of:
            if _VCF_RULES.get(element) != rule.as_:
                raise BadInput(f"{source}: has a rule {rule.as_!r} for {element!r} of a VCF.")
            if element == "FILTER" and not all(
                re.fullmatch(r"[A-Za-z0-9._]+", v) for v in rule.values
            ):
                raise BadInput(f"{source}: lets a FILTER pass that is no word.")
    try:
        for assembly in part.regions:
            list(part.regions_on(assembly))
    except ValueError as error:
        raise BadInput(
            f"{source}: {str(error)!r} is no region such as 10:94762681-94855547."
        ) from None
    if not 0 <= part.frequency <= 0.5:
        raise BadInput(f"{source}: the rarer allele's frequency is from 0 to 0.5.")


class _Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    widest: str
    why: str
    genome: list[str] = []
    """Further profiles, that let out nothing but a genome, which it may read through."""


@functools.cache
def _shipped() -> dict[str, Profile]:
    """The profiles of this package by name, the newest version of each."""
    found: dict[str, Profile] = {}
    for one in _every_version():
        if one.name not in found or found[one.name].version < one.version:
            found[one.name] = one
    return found


@functools.cache
def _every_version() -> tuple[Profile, ...]:
    files = sorted(_FOLDER.iterdir(), key=lambda file: file.name)
    return tuple(
        Profile(file.read_bytes(), file.name) for file in files if file.name != "roles.json"
    )


@functools.cache
def roles() -> dict[str, str]:
    """For each role of a reader, the widest profile that it may read through (R35)."""
    return {role: entry.widest for role, entry in _role_table().items()}


@functools.cache
def _role_table() -> dict[str, _Role]:
    text = (_FOLDER / "roles.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, _Role])


def profile_names() -> list[str]:
    """Names of the profiles that the package carries."""
    return list(_shipped())


def load_profile(name: str) -> Profile:
    """A profile of the package by its name, or of a file by its path (which ends in ``.json``)."""
    if name.endswith(".json"):
        try:
            with open(Path(name), "rb") as file:
                text = file.read(_LIMIT + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its path is not valid"
            raise BadInput(f"{name}: cannot be read ({reason}).") from None
        if len(text) > _LIMIT:
            raise BadInput(f"{name}: is larger than a masking profile may be.")
        return Profile(text, name)
    if name not in _shipped():
        raise BadInput(f"{name} is no masking profile; known are {', '.join(_shipped())}.")
    return _shipped()[name]


def profile_of(digest: bytes) -> Profile | None:
    """The profile, of any version, that a consent's ``fields`` commits to; None when not ours."""
    return next((one for one in _every_version() if one.digest == digest), None)


def narrower(consented: Profile, role: str) -> Profile:
    """What a reader in ``role`` sees under a consent: the narrower of its profile and the role's.

    Raises BadInput for a role that is in no table, and when neither profile contains the other.
    """
    if role not in roles():
        raise BadInput(f"{role} is no role of a reader; known are {', '.join(roles())}.")
    widest = load_profile(roles()[role])
    readable = {widest.name, *_role_table()[role].genome}
    if consented.name in readable or readable.intersection(consented.within):
        return consented
    if consented.name in widest.within:
        return widest
    raise BadInput(f"The profiles {consented.name} and {widest.name} are not one within the other.")
