"""Balancers under test. The only place in lbcheck that speaks vendors' words; targets do not see each other."""

from __future__ import annotations

from lbcheck.targets.base import Rendering, Target
from lbcheck.targets.registry import find, known

__all__ = ["Rendering", "Target", "find", "known"]
