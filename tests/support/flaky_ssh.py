"""A stand-in for ssh that reaches this machine, or fails as a network does for a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REFUSED = "ssh: connect to host home port 22: Connection refused"
SCRIPT = """\
#!/bin/sh
for last; do :; done
echo "$last" >> {calls}
if grep -qs . {failures}; then
  sed -i 1d {failures}
  echo "{said}" >&2
  exit 255
fi
exec sh -c "$last"
"""


@dataclass(frozen=True)
class FlakySsh:
    """What to put in front of PATH; each line of `failures` is a connection that will fail."""

    folder: Path

    @classmethod
    def make(cls, base: Path, *, said: str = REFUSED) -> FlakySsh:
        made = cls(base / "flaky")
        made.folder.mkdir()
        program = made.folder / "ssh"
        program.write_text(SCRIPT.format(calls=made.calls, failures=made.failures, said=said))
        program.chmod(0o755)
        return made

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    @property
    def failures(self) -> Path:
        return self.folder / "failures"

    def fail(self, times: int) -> None:
        self.failures.write_text("x\n" * times)

    def count(self) -> int:
        """How many connections were tried since the last count."""
        tried = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return len(tried)
