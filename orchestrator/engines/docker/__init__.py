"""The Docker Engine: found (`address`), reached (`dial`, `client`), spoken to (`convert`, `faults`, `engine`)."""
