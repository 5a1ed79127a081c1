"""`ireko disk`: virtual disk files as they lie there. No daemon is asked, and the client is not imported."""
