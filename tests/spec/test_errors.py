"""Every refusal in full, as a user sees it: golden/errors.txt holds a file and the message it must get."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbcheck.errors import SpecError
from lbcheck.spec.loading import load, loads

pytestmark = pytest.mark.fast


def golden() -> list[tuple[str, str, str]]:
    text = (Path(__file__).parent / "golden" / "errors.txt").read_text(encoding="utf-8")
    cases = []
    for case in text.removeprefix("=== ").split("\n=== "):
        name, _, rest = case.partition("\n")
        given, _, message = rest.partition("--- refused\n")
        cases.append((name, given, message.rstrip("\n")))
    return cases


@pytest.mark.parametrize(("given", "message"), [pytest.param(g, m, id=name) for name, g, m in golden()])
def test_a_wrong_file_is_refused_with_its_line_and_a_remedy(given: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        loads(given)
    assert str(refused.value) == message


def test_the_golden_file_is_read_whole() -> None:
    assert len(golden()) > 60


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.yaml: cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lb.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        load(tmp_path / "lb.yaml")


def test_nested_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="more than 200000 values"):
        loads("\n".join(lines))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(SpecError, match="nested too deeply"):
        loads("[" * 20_000)


STRANGE = ["a: \x00", "a: !!python/object:os.system {}", "--- a\n--- b\n", "? [a]\n: b", "&a *a"]


@pytest.mark.parametrize("text", STRANGE)
def test_strange_yaml_is_refused_as_a_spec_error(text: str) -> None:
    with pytest.raises(SpecError):
        loads(text)
