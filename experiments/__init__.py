"""A folder for each task, and the programs that run them."""
