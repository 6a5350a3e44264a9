"""medtoken: medical records shared on the patient's own terms, and paid for."""

__version__ = "0.1.0"
