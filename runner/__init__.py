"""planlock: plans in git, approved by people, executed exactly."""

__version__ = "0.1.0"
