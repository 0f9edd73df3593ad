"""Training, evaluation, checkpoints, compilation: they know no model and no task."""
