"""Watermarks: each licensee's copy differs a little, so that a leaked one names who it was given to.

:func:`mark_file` writes a licensee's copy (R35), :func:`trace_file` says whose a leaked copy is and how
sure that is, or that it is not sure. ``docs/watermark.md`` gives the method and its limits.
"""

from __future__ import annotations

from medtoken.marking._code import THRESHOLD, Code, Suspect, Trace
from medtoken.marking._file import Marked, mark_file, trace_file

__all__ = ["THRESHOLD", "Code", "Marked", "Suspect", "Trace", "mark_file", "trace_file"]
