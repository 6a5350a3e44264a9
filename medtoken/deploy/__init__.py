"""Deploying the suite: parameters, the plan, its resumable execution, and the record of it."""
