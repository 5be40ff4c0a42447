"""The projects' own tests belong to the goals, not to this suite."""

collect_ignore = ["projects"]
