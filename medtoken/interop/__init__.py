"""Interoperation off the chain: what other systems of the health-data world send and understand.

Each module speaks one standard; ``docs/interop.md`` says what of it, and what it refuses.
"""
