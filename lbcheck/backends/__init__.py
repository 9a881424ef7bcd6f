"""The instrumented backend: scripted per backend and per request, with a journal of everything it saw."""
