"""lbcheck: the chaos and conformance test harness for load balancers."""

__version__ = "0.1.0"
