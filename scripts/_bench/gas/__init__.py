"""The gas benchmark: what medtoken's operations cost (`ours`), what Ocean Protocol's do on the same
chain (`ocean`), and the table in which both stand side by side (`table`)."""
