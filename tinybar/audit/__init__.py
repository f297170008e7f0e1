"""What `tinybar audit` checks: every gradient, and every closed form of the paper."""

from .rows import Row


def run_audit(seed: int = 0) -> list[Row]:
    """The rows of all checks, primitives first, on the current device.

    Which problems are drawn depends on `seed` alone; the random streams are left as they were.
    """
    from .closed_forms import audit_closed_forms
    from .primitives import audit_primitives

    return audit_primitives(seed) + audit_closed_forms(seed)


__all__ = ["Row", "run_audit"]
