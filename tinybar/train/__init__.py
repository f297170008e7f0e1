"""A run: its options, its stages, its folder and its result."""
