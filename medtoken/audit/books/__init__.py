"""The books of the ledger, one for each contract of the suite: each folds that contract's events."""
