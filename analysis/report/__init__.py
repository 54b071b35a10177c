"""The standard set of analyses of recorded sessions, and the report that they leave: what `rodent analyze` does."""
