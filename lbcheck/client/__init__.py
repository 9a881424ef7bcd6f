"""Raw traffic: exact bytes out, exact times in, no hidden retry."""
