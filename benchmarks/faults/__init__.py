"""A fault campaign: runs are killed, starved and damaged, and must lose nothing."""
