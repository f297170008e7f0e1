"""What the project uses of `cupyx`."""
