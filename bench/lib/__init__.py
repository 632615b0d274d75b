"""What the sections of bench/run are made of."""
