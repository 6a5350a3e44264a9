"""The chain as medtoken sees it: a node, the contracts, their packed words and their ABI."""
