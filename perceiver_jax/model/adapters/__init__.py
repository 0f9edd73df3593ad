"""What turns data into inputs [B, M, C], and outputs [B, O, E] back into data."""
