"""What a program takes: FLOPs, memory, exchange, on machines that are not at hand."""
