"""What happens on purpose, as values."""
