"""A server that behaves as GitHub does, as far as planlock asks it: for trials and for tests."""
