"""What runs when: pure. `decide(world, events, now, ids) -> changes`; nothing here reads a clock, draws a
random number or talks to anything."""
