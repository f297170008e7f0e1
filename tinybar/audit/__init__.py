"""What `tinybar audit` checks: every gradient, and every closed form of the paper."""
