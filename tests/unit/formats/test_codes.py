"""Check digits and forms of clinical codes."""

from __future__ import annotations

import pytest

from medtoken.formats._codes import conforms


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("LOINC", "8480-6"),
        ("LOINC", "99504-3"),
        ("LOINC", "105272-9"),
        ("LOINC", "LA33-6"),
        ("SNOMED", "73211009"),
        ("SNOMED", "44054006"),
        ("ICD-10", "E11.9"),
        ("ICD-10-CM", "S52.521A"),
        ("ICD-11", "5A11"),
        ("ICD-11", "BA00.Z"),
        ("ATC", "A10BA02"),
        ("RXNORM", "860975"),
    ],
)
def test_codes_of_the_right_form_pass(system: str, code: str) -> None:
    assert conforms(system, code)


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("LOINC", "8480-5"),
        ("LOINC", "8408-6"),
        ("LOINC", "8480"),
        ("SNOMED", "73211008"),
        ("SNOMED", "73121009"),
        ("SNOMED", "0"),
        ("ICD-10", "11.9"),
        ("ICD-11", "5O11"),
        ("ATC", "10BA02"),
        ("RXNORM", ""),
        ("CVX", "\u0661"),
    ],
)
def test_mistyped_codes_fail(system: str, code: str) -> None:
    assert not conforms(system, code)


@pytest.mark.parametrize(("system", "code"), [("LOINC", "99504-3"), ("SNOMED", "314529007")])
def test_every_single_wrong_digit_is_noticed(system: str, code: str) -> None:
    for place, right in enumerate(code):
        for digit in "0123456789" if right.isdigit() else "":
            wrong = code[:place] + digit + code[place + 1 :]
            assert conforms(system, wrong) == (digit == right), wrong
