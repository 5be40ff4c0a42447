"""GitHub: what its server tells of pull requests, and what is told there."""
