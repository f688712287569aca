"""Templates: what they may say, what the names in them mean, and their rendering (in authoring workers only)."""
