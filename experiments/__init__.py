"""One file a task, and the programs that run them."""
