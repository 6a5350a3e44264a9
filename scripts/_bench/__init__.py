"""Parts of the benchmarks: what they share, and the two sides of the gas table. No commands."""
