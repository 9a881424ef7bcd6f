"""`python -m bench [--quick] [--only NAME] [--page FILE]`: measures, prints, writes docs/performance.md."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import battery, memory, throughput
from bench.machine import machine
from bench.page import Section, page
from bench.processes import HERE

# A further figure is one function that gives a Section, named here.
SECTIONS: dict[str, Callable[[], Section]] = {
    "throughput": throughput.section,
    "memory": memory.section,
    "battery": battery.section,
}
QUICK: dict[str, Callable[[], Section]] = {"throughput": partial(throughput.section, rounds=2, seconds=2)}

NEEDED = ("wrk", "haproxy", "nginx", "taskset")


def main() -> int:
    """0 where every aim was reached, 1 where one was not, 2 where it can't measure."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; writes no page")
    parser.add_argument("--only", choices=SECTIONS, help="one section; writes no page")
    parser.add_argument("--page", type=Path, default=HERE / "docs" / "performance.md")
    options = parser.parse_args()
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        print(f"bench needs {', '.join(missing)}; on Debian: apt-get install wrk haproxy nginx-light util-linux")
        return 2
    chosen = [options.only] if options.only else list(SECTIONS)
    sections = []
    for name in chosen:
        section = (QUICK.get(name) if options.quick else None) or SECTIONS[name]
        sections.append(section())
        print(sections[-1].text(), flush=True)
    if not options.quick and not options.only:
        options.page.write_text(page(machine(), sections))
        print(f"written: {options.page}")
    return 0 if all(section.reached for section in sections) else 1


if __name__ == "__main__":
    sys.exit(main())
