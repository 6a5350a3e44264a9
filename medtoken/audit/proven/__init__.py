"""Reading a chain without believing the node that serves it."""

from medtoken.audit.proven.accounts import Account
from medtoken.audit.proven.chain import ProvenChain, ProvenLog
from medtoken.audit.proven.trie import storage_root

__all__ = ["Account", "ProvenChain", "ProvenLog", "storage_root"]
