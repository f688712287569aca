"""A containerized-task orchestrator around one operator. A DAG file imports from here; nothing heavy loads."""
