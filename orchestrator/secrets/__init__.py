"""Where secrets, variables and connections are kept: places behind `orchestrator.ports.Secrets`."""
