"""Masking: which fields of a record leave, by the profile a patient consented to (R9, R35).

A profile is a file in ``profiles``: it names every element that may leave, what happens to it and
why; what it does not name stays behind. Its SHA-256 is the value that a consent commits to.
:func:`mask_file` writes a masked copy (static), :func:`select` answers with masked rows and fields
and writes none (dynamic). The same file, profile, secret and scope give the same bytes.
"""

from __future__ import annotations

from medtoken.masking._file import Masked, mask_file, select
from medtoken.masking._keyed import Keyed
from medtoken.masking._profile import (
    Profile,
    load_profile,
    narrower,
    profile_names,
    profile_of,
    roles,
)

__all__ = [
    "Keyed",
    "Masked",
    "Profile",
    "load_profile",
    "mask_file",
    "narrower",
    "profile_names",
    "profile_of",
    "roles",
    "select",
]
