"""Teachers: they propose problems."""
