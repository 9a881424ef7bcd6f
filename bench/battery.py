"""Time to verdict: the core level per target, the whole battery in the simulator, and what a further backend costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.page import Section
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import open_stage
from lbcheck.spec.model import Backend, Forward, Listener, Pool, Spec
from lbcheck.spec.subject import Subject
from lbcheck.targets import find

CORE_AIM_S = {"haproxy": 60.0}
SIM_AIM_S = 3.0
BACKEND_AIM_MS = 10.0
WORKERS = 6  # on two cores too: most of a battery is waiting
TARGETS = ("reference", "haproxy", "nginx")


def run_s(*words: str) -> tuple[float, int]:
    """(seconds, checks) of one whole pytest run, its start included."""
    with tempfile.TemporaryDirectory(prefix="lbcheck-bench-") as name:
        environment = os.environ | {"CI": ""}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--lb-report-dir={name}/out"]
        began = time.perf_counter()
        subprocess.run([*command, *words], cwd=name, env=environment, capture_output=True, check=False, timeout=900)
        took = time.perf_counter() - began
        record = json.loads((Path(name) / "out" / "run.json").read_text())
    return took, sum(check["outcome"] not in ("unsupported", "not run") for check in record["checks"])


def scene_s(lab: ProcessLab, backends: int) -> float:
    """Seconds to set a scene of so many backends up and to take it down, the best of three."""
    pool = Pool("web", tuple(Backend(f"b{i}") for i in range(backends)))
    spec = Spec((Listener("public", Forward((("web", 1),))),), (pool,))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        with open_stage(lab, spec, Subject("pool", "web", "pools.web", pool)):
            pass
        times.append(time.perf_counter() - began)
    return min(times)


def backend_ms(few: int = 3, many: int = 43) -> float:
    lab = ProcessLab(find("reference"))
    try:
        scene_s(lab, few)
        return (scene_s(lab, many) - scene_s(lab, few)) / (many - few) * 1000
    finally:
        lab.close()


def section() -> Section:
    rows: list[tuple[str, ...]] = [("run", "checks decided", "seconds")]
    aims = []
    for target in TARGETS:
        took, checks = run_s(f"--lb-target={target}", "--lb-level=core", f"-n{WORKERS}")
        rows.append((f"core level of {target}, {WORKERS} workers", str(checks), f"{took:.0f}"))
        if target in CORE_AIM_S:
            aims.append(
                (f"core level of {target} under {CORE_AIM_S[target]:g} s", took < CORE_AIM_S[target], f"{took:.0f}")
            )
    took, checks = run_s("--lb-target=reference", "--lb-lab=sim")
    rows.append(("whole battery in the simulator, one process", str(checks), f"{took:.1f}"))
    aims.append((f"whole battery in the simulator under {SIM_AIM_S:g} s", took < SIM_AIM_S, f"{took:.1f}"))
    cost = backend_ms()
    rows.append(("a further backend process, up and down", "", f"{cost / 1000:.3f}"))
    aims.append((f"a further backend {BACKEND_AIM_MS:g} ms", cost <= BACKEND_AIM_MS, f"{cost:.1f} ms"))
    notes = [
        "Seconds of this machine, whatever else it was doing: for comparing the rows with each other.",
        "A whole pytest run each, with its start and its report.",
    ]
    return Section("Time to verdict", rows, notes, aims)
