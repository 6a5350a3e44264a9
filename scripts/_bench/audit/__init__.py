"""Reading events: a chain full of them, and several ways to read it."""
