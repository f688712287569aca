"""Logs of tries as files: exact bytes in `<try>.log`, everything else about them in an index beside it."""
