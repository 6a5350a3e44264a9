"""``medtoken serve``: the service lives in ``medtoken.service``."""

from medtoken.service.serve import serve

__all__ = ["serve"]
