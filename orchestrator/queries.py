"""What may be read: the other half of `actions`."""
