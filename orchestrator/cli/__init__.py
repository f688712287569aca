"""The command `orchestrator`: thin faces of actions and queries, one file for each noun."""


def main() -> None:
    """Entry point."""
    raise NotImplementedError
