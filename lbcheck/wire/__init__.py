"""HTTP/1 on the wire: strict readers without I/O, which backends and clients share, and the RST as a stimulus."""
