"""What may be asked of the leader: the one place where all faces meet."""
