"""nginx.conf to a spec. Citations are to nginx open source's documentation (nginx.org/en/docs), by module."""
