"""How refs and files of plans and runs are named."""

from __future__ import annotations

import re

from runner.verbs.runs import NUMBER

PLAN_REF = re.compile(
    r"^refs/(?:heads|remotes/[^/]+|planlock/home/heads)/plan/(?P<plan>[a-z0-9-]+)$"
)
SEEN_REF = re.compile(
    rf"^refs/planlock/seen/(?:plan|run)/(?P<plan>[a-z0-9-]+)(?:/(?P<run>{NUMBER}))?$"
)
LEASE_REF = re.compile(rf"^refs/planlock/leases/(?P<plan>[a-z0-9-]+)/(?P<run>{NUMBER})$")
RECORDED = re.compile(
    rf"^plans/(?P<plan>[a-z0-9-]+)/(?:(?P<approval>approvals/)|runs/(?P<run>{NUMBER})/)"
)
NO_RUN = re.compile(r"^refs/(?:heads/planlock|tags/planlock-run)/[a-z0-9-]+/[0-9]+$")

RunName = tuple[str, int]
