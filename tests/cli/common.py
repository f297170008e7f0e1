"""What the tests of the commands share."""

from tinybar.cli import main

QUICK = [
    "--model", "wrn-10-1", "--epochs", "1", "1", "0", "--teacher-epochs", "1",
    "--batch-size", "256",
]  # fmt: skip


def fails_with_one_line(capsys, arguments, code, *words) -> str:
    """Check the exit code and the only line on stderr, which must hold all of `words`."""
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("tinybar: error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    for word in words:
        assert word in captured.err
    assert "Traceback" not in captured.err + captured.out
    return captured.err
