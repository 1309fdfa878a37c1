"""What Perdure does per second. `make bench` runs it; no test depends on a time."""
