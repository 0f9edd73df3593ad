"""Released weights to our names and back; their names appear nowhere else."""
