"""What a machine needs before DAGs can run on it: looked at step by step, and repaired where that is possible."""
