"""A key keeper as a service of its own (R34): the HTTP service, its client, its log's audit."""
