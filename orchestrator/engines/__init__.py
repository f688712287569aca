"""Where containers run: one package per engine, each behind `orchestrator.ports.Engine`."""
