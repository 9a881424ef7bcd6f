"""HTTP/1 as it stands on the wire: strict readers without I/O, which backends and clients share."""
