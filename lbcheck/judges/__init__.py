"""Pure functions from a history to a verdict; all statistics stand here."""
