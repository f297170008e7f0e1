"""The figures of the documentation that are drawn from the code."""

import runpy
from pathlib import Path

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"


def test_the_paper_s_figures_are_drawn_the_same_every_time(tmp_path):
    main = runpy.run_path(str(FIGURES / "paper.py"))["main"]
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        main(folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["fig1.svg", "fig2.svg", "supp-fig1.svg"]
    for name in names:
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes()
        assert (FIGURES / name).exists()
