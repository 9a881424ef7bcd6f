"""What the reference balancer costs, measured: `python -m bench` (`make bench`) writes docs/performance.md.

Everything is a ratio within one run, since absolute numbers say more about the machine than about the program.
"""
