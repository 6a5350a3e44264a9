"""What tests share: an EVM in this process, the suite deployed on it, and its actors."""
