"""How good a medical file is (R7): six scores from 0 to 100, the same on every machine.

:func:`assess` reads the file and judges it by the published method ``method-1.md`` of this package.
Only integers and exact fractions are used and no clock is read, so that whoever has the file gets
the score that was attested, or can challenge it. :func:`method_hash` is the SHA-256 of that text:
the text says every formula, so a changed rule needs a new text, a new name and a new hash.
"""

from medtoken.quality._assess import DIMENSIONS, METHOD, Quality, assess, method_hash, method_text

__all__ = ["DIMENSIONS", "METHOD", "Quality", "assess", "method_hash", "method_text"]
