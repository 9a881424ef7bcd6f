"""What is rendered changes on purpose only: `make golden` rewrites these files, and the diff is reviewed."""

from __future__ import annotations

import pytest

from .golden import FILES, goldens

RENDERED = goldens()


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_rendering_is_the_golden_one(name: str) -> None:
    assert RENDERED[name] == (FILES / name).read_text(), "if this is meant: make golden"


def test_no_golden_file_is_left_over() -> None:
    assert {path.relative_to(FILES).as_posix() for path in FILES.rglob("*.txt")} == set(RENDERED)
