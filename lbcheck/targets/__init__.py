"""Balancers under test, one file each."""
