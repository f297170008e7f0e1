"""Many runs: the grid, the executor, the table of results."""
