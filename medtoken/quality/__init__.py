"""How good a medical file is (R7): six scores from 0 to 100, the same on every machine.

:func:`assess` reads the file and judges it by the published method ``dvi-1.md`` of this package.
Only integers and exact fractions are used and no clock is read, for the caller names the day of
reference: whoever has the file gets the scores that were attested, or can challenge them.
:func:`method_hash` is the SHA-256 of that text: the text says every formula, so a changed rule
needs a new text, a new name and a new hash.
"""

from medtoken.quality._assess import DIMENSIONS, METHOD, Quality, assess, method_hash, method_text
from medtoken.quality._parts import Part

__all__ = ["DIMENSIONS", "METHOD", "Part", "Quality", "assess", "method_hash", "method_text"]
