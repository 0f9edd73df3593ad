"""Numbers only: one file a task, `get_config(variant)` and `sweep()`."""
