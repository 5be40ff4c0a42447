"""What approvals cost, against git and ssh-keygen in one run: `python -m tests.benchmarks.approvals`.

Times on one machine say little about another; the ratios do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from forging import commit_on, draft, signing
from team import EDIT, Team

from runner.core import gate
from runner.core.approval import NAMESPACE
from runner.core.documents import dump
from runner.git import sshsig
from runner.git.signing import FileSigner, SshSigner
from runner.verbs import evidence
from tests.benchmarks.lines import Line, each, show
from tests.benchmarks.scene import opened

MESSAGE = b"what is signed\n"
TYPES = {
    "ed25519": ["-t", "ed25519"],
    "ecdsa p256": ["-t", "ecdsa", "-b", "256"],
    "rsa 3072": ["-t", "rsa", "-b", "3072"],
}


def signatures(folder: Path, times: int) -> list[Line]:
    """Verify a signature in process, by ssh-keygen and, in a commit, by git."""
    lines = []
    for name, options in TYPES.items():
        key = folder / name.replace(" ", "-")
        argv = ["ssh-keygen", "-q", *options, "-N", "", "-C", name, "-f", str(key)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        signer = SshSigner(key)
        armored = signer.sign(MESSAGE, namespace=NAMESPACE)
        ours = each(_verifying(armored), times)
        theirs = each(_ssh_keygen(folder, signer.public_key.text, armored), max(3, times // 10))
        lines += [
            Line(what=f"verify {name} in process", seconds=ours),
            Line(
                what=f"verify {name} by ssh-keygen -Y verify",
                seconds=theirs,
                against="in process",
                ratio=theirs / ours,
            ),
        ]
    return lines


def _verifying(armored: bytes) -> Callable[[], object]:
    return lambda: sshsig.verify(armored, MESSAGE, namespace=NAMESPACE)


def _ssh_keygen(folder: Path, key: str, armored: bytes) -> Callable[[], object]:
    allowed, signature = folder / "allowed", folder / "signature"
    allowed.write_text(f"bob {key}\n")
    signature.write_bytes(armored)
    argv = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "bob", "-n", NAMESPACE]
    argv += ["-s", str(signature)]
    return lambda: subprocess.run(argv, input=MESSAGE, check=True, capture_output=True)


def commits(team: Team, times: int) -> list[Line]:
    """Verify the signature of a commit in process and by git."""
    team.git(*signing(team.key("ada")), "commit", "-q", "--allow-empty", "-m", "Signed")
    oid = team.git("rev-parse", "HEAD")
    argv = ["git", "-c", f"gpg.ssh.allowedSignersFile={team.root}/plans/allowed_signers"]
    argv += ["verify-commit", oid]
    with opened(team) as project:
        commit = project.store.commit(oid)
        assert commit.signature is not None
        signature, part = commit.signature, commit.signed_part
        ours = each(lambda: sshsig.verify(signature, part, namespace="git"), times)
    theirs = each(
        lambda: subprocess.run(argv, cwd=team.root, check=True, capture_output=True),
        max(3, times // 10),
    )
    return [
        Line(what="verify a commit in process", seconds=ours),
        Line(
            what="verify a commit by git verify-commit",
            seconds=theirs,
            against="in process",
            ratio=theirs / ours,
        ),
    ]


def decisions(team: Team, count: int, times: int) -> list[Line]:
    """Read and judge many approvals of one plan, and decide on them."""
    team.propose("job", EDIT)
    files: dict[str, bytes | None] = {}
    signer = FileSigner(team.key("bob"))
    for number in range(count):
        value = {**draft(team, "job", "bob"), "id": f"01JDA7Q4Z0M5W8K2N3P6R{number:05d}"}
        data = dump(value)
        path = f"plans/job/approvals/{value['id']}.yaml"
        files |= {path: data, f"{path}.sig": signer.sign(data, namespace=NAMESPACE)}
    commit_on(team, "plan/job", files)
    with opened(team) as project:
        plan = evidence.find_plan(project, "job")
        now = project.world.now()
        cold = each(lambda: evidence.gather(project, plan, now=now), 1)
        warm = each(lambda: evidence.gather(project, plan, now=now), times)
        found = evidence.gather(project, plan, now=now)
        question = evidence.question(found, step=0, so_far=gate.SoFar(run=1), now=now)
        assert gate.decide(question).allowed
        decide = each(lambda: gate.decide(question), times)
    return [
        Line(what=f"read and verify {count} approvals, first time", seconds=cold),
        Line(
            what=f"read and judge {count} approvals again",
            seconds=warm,
            against="faster than the first time",
            ratio=cold / warm,
        ),
        Line(what=f"decide on a step over {count} approvals", seconds=decide),
    ]


def measure(folder: Path, *, count: int, times: int) -> list[Line]:
    team = Team.governed(folder / "team", "bob")
    return [
        *signatures(folder, times),
        *commits(team, times),
        *decisions(team, count, max(3, times // 20)),
    ]


def main() -> None:
    show(partial(measure, count=1000, times=200))


if __name__ == "__main__":
    main()
