"""What the harness and a backend in its own process say to each other: JSON, one line each way, always answered.

One that was started by a user is greeted first; besides its answers it sends every event as a line of its own.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from lbcheck.backends.script import Answer, Behaviour, ProbeShape

LINE_LIMIT = 256 * 1024 * 1024  # a script may carry bodies


@dataclass(frozen=True, slots=True)
class Birth:
    """Who a backend is: what the nursery is told. `generation` counts its lives from 0."""

    name: str
    pool: str
    host: str
    port: int
    journal: str
    probe: ProbeShape | None = None
    generation: int = 0


PROTOCOL = 1  # of greetings; another number is another version of lbcheck


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a harness says first to a backend that runs by itself: who it shall be, and how it shall behave.

    `generation` counts its lives before it was started (0, 1, ...): one that begins anew in the same history.
    """

    token: str
    name: str
    pool: str
    probe: ProbeShape | None = None
    behaviour: Behaviour = dataclasses.field(default_factory=Behaviour)
    generation: int = 0


def greeting_to_json(greeting: Greeting) -> dict[str, Any]:
    probe = None if greeting.probe is None else dataclasses.asdict(greeting.probe)
    return {
        "protocol": PROTOCOL,
        "token": greeting.token,
        "name": greeting.name,
        "pool": greeting.pool,
        "probe": probe,
        "behaviour": behaviour_to_json(greeting.behaviour),
        "generation": greeting.generation,
    }


def greeting_from_json(data: dict[str, Any]) -> Greeting:
    """KeyError or TypeError where it is none."""
    probe = data["probe"]
    shape = None if probe is None else ProbeShape(**probe)
    behaviour = behaviour_from_json(data["behaviour"])
    return Greeting(data["token"], data["name"], data["pool"], shape, behaviour, data.get("generation", 0))


def birth_to_json(birth: Birth) -> dict[str, Any]:
    return dataclasses.asdict(birth)


def birth_from_json(data: dict[str, Any]) -> Birth:
    probe = data["probe"]
    return Birth(**{**data, "probe": None if probe is None else ProbeShape(**probe)})


def behaviour_to_json(behaviour: Behaviour) -> dict[str, Any]:
    """Fields that hold their default are left out."""
    return {
        "answer": _answer_to_json(behaviour.answer),
        "by_id": [[key, _answer_to_json(answer)] for key, answer in behaviour.by_id],
        "probes": [_answer_to_json(answer) for answer in behaviour.probes],
        "probe": _answer_to_json(behaviour.probe),
        "accepting": behaviour.accepting,
        "blackhole": behaviour.blackhole,
    }


def behaviour_from_json(data: dict[str, Any]) -> Behaviour:
    return Behaviour(
        answer=_answer_from_json(data["answer"]),
        by_id=tuple((key, _answer_from_json(answer)) for key, answer in data["by_id"]),
        probes=tuple(_answer_from_json(answer) for answer in data["probes"]),
        probe=_answer_from_json(data["probe"]),
        accepting=data["accepting"],
        blackhole=data["blackhole"],
    )


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in dataclasses.fields(answer):
        value = getattr(answer, field.name)
        if value != field.default:
            out[field.name] = {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
    return out


def _answer_from_json(data: dict[str, Any]) -> Answer:
    values: dict[str, Any] = {n: base64.b64decode(v["b64"]) if isinstance(v, dict) else v for n, v in data.items()}
    if "headers" in values:
        values["headers"] = tuple((name, value) for name, value in values["headers"])
    if "interim" in values:
        values["interim"] = tuple(values["interim"])
    return Answer(**values)


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
