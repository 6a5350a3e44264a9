"""``medtoken serve``: the pages of patients, licensees and hospitals, and what they read."""
