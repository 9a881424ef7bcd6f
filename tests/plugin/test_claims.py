"""Which fields a check's verdict rests on, and which of them makes its claim, of every check of the catalogue."""

from __future__ import annotations

import pytest

from lbcheck.plugin.catalogue import everything
from lbcheck.plugin.claims import asked_of, claim_path, rests_on
from lbcheck.spec.battery import battery
from lbcheck.spec.subject import Subject

pytestmark = pytest.mark.fast


def subject_of(check: str) -> Subject:
    card = everything()[check]
    return next(subject for loaded in battery().values() for subject in card.subject.of(loaded.spec))


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        ("ALG-01", ["algorithm"]),
        ("ALG-11", ["algorithm", "hash_key"]),
        ("HLT-03", ["health_check.unhealthy_threshold", "health_check.protocol", "health_check.interval"]),
        ("FLO-01", ["retries.attempts"]),
        ("STK-01", ["stickiness.duration", "stickiness.type"]),
        ("RTE-17", ["rewrite"]),
        ("HTT-01", ["forwarded.x_forwarded_for", "forwarded.trust"]),
    ],
)
def test_the_most_telling_fields_come_first(check: str, fields: list[str]) -> None:
    assert rests_on(everything()[check], subject_of(check))[: len(fields)] == fields


def test_what_makes_a_claim_possible_is_not_what_it_rests_on() -> None:
    card, subject = everything()["HLT-03"], subject_of("HLT-03")
    assert "algorithm" in asked_of(card, subject)
    assert "algorithm" not in rests_on(card, subject)


def test_every_check_rests_on_fields_that_its_subject_has() -> None:
    for loaded in battery().values():
        for card in everything().values():
            for subject in card.subject.of(loaded.spec):
                for field in rests_on(card, subject):
                    value = subject.value
                    for name in field.split("."):
                        value = getattr(value, name)


def test_a_claim_stands_at_its_first_field_that_the_file_says_or_at_its_part() -> None:
    card, subject = everything()["HLT-03"], subject_of("HLT-03")
    said = dict.fromkeys((subject.path, f"{subject.path}.algorithm", f"{subject.path}.health_check"))
    assert claim_path(card, subject, said) == f"{subject.path}.health_check"
    said |= {f"{subject.path}.health_check.unhealthy_threshold": None}
    assert claim_path(card, subject, said) == f"{subject.path}.health_check.unhealthy_threshold"
    assert claim_path(card, subject, {f"{subject.path}.name": None}) == subject.path
