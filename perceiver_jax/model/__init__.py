"""Perceivers as Haiku modules: they know no task, no data, no training."""
