"""A bare remote arbitrates between clones: pushed first, never forced, never backwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clones import Clones
from team import EDIT, FACTORIAL, READ, Result, command


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones.make(tmp_path)


def test_init_stores_home_and_trusted_branch(clones: Clones) -> None:
    """`init` in a clone takes the remote as home and its default branch as the trusted one."""
    assert clones.git("ada", "config", "planlock.home") == str(clones.remote)
    assert clones.git("ada", "config", "planlock.trustedRef") == "refs/heads/main"


def test_plan_travels_through_the_remote(clones: Clones) -> None:
    """Proposed in one clone, approved in another, run in the first: the remote has it all."""
    clones.propose("job", READ + EDIT)
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    there = clones.refs()
    here = clones.refs(clones.ada)
    for name in (
        "refs/heads/planlock/job/1",
        "refs/planlock/leases/job/1",
        "refs/tags/planlock-run/job/1",
    ):
        assert there[name] == here[name]
    seen = clones.run("bob", "status", "job")
    assert "run 1 completed" in seen.out, seen.text
    assert clones.run("bob", "log", "job/1").code == 0
    clones.team.git("fsck", "--strict", cwd=clones.remote)


def test_plan_that_was_not_pushed_does_not_exist(clones: Clones) -> None:
    """What the home has not seen cannot be approved or run; the hint is the push."""
    clones.team.plan("job", READ)
    assert clones.run("ada", "propose", "job").code == 0
    result = clones.run("ada", "run", "job")
    assert result.code == 3
    assert f"hint: git push {clones.remote} refs/heads/plan/job" in result.err


def test_approval_counts_once_it_is_pushed(clones: Clones) -> None:
    """An approval in another clone counts only after its push."""
    clones.team.plan("job", EDIT)
    assert clones.run("ada", "propose", "job").code == 0
    clones.git("ada", "push", "-q", "origin", "plan/job")
    approved = clones.run("bob", "approve", "job", "--json")
    assert clones.run("ada", "run", "job").code == 4
    assert approved.json["push_command"] == f"git push {clones.remote} refs/heads/plan/job"
    clones.git("bob", *approved.json["push_command"].split()[1:])
    assert clones.run("ada", "run", "job").code == 0


@pytest.mark.usefixtures("confined")
def test_start_is_pushed_before_the_first_effect(clones: Clones) -> None:
    """While the first command runs, the remote already has branch, lease and intent."""
    clones.propose("job", command("cat .git/HEAD; sleep 60"))
    process = clones.start("ada", "run", "job", "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if '"output"' in line:
            break
    there = clones.refs()
    assert "refs/heads/planlock/job/1" in there
    lease = clones.team.git(
        "log", "-1", "--format=%B", "refs/planlock/leases/job/1", cwd=clones.remote
    )
    assert "Step: check" in lease
    held = clones.run("bob", "run", "job")
    assert held.code == 4
    assert "[run_held]" in held.err
    assert "since" in held.err
    process.kill()
    process.wait(30)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.parametrize("branch", ["main", "plan/job"])
def test_A42_rewritten_branch_in_the_home(clones: Clones, branch: str) -> None:
    """A branch that moved backwards or aside in the home is refused, and nothing follows it."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "status", "job").code == 0
    before = clones.refs(clones.ada)
    clones.team.git("update-ref", f"refs/heads/{branch}", f"{branch}~1", cwd=clones.remote)
    for args in (("run", "job"), ("status", "job"), ("approve", "job"), ("propose", "job")):
        result = clones.run("ada", *args)
        assert result.code == 4, result.text
        assert "[authority_refused]" in result.err
        assert "rewrote" in result.err or "moved other than forward" in result.err
    assert clones.refs(clones.ada) == before


def test_A25_rewritten_run_branch_in_the_home(clones: Clones) -> None:
    """A run whose branch was rewritten in the home is not continued."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "run", "job", "--step").code == 0
    clones.team.git(
        "update-ref", "refs/heads/planlock/job/1", "planlock/job/1~1", cwd=clones.remote
    )
    result = clones.run("ada", "run", "job")
    assert (result.code, "[authority_refused]" in result.err) == (4, True), result.text


def test_A42_local_branches_mean_nothing(clones: Clones) -> None:
    """Rewritten local branches and tracking refs do not change what the home says."""
    clones.propose("job", READ + EDIT)
    clones.git("ada", "update-ref", "refs/remotes/origin/main", "main~1")
    clones.git("ada", "update-ref", "refs/heads/plan/job", "main")
    clones.git("ada", "switch", "-q", "-c", "mine")
    clones.git("ada", "branch", "-q", "-f", "main", "main~1")
    assert clones.run("ada", "run", "job").code == 0


def test_F04_remote_gone(clones: Clones) -> None:
    """Without the remote nothing is decided or run; once it is back, the run goes on."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "run", "job", "--step").code == 0
    away = clones.remote.with_name("away.git")
    clones.remote.rename(away)
    before = clones.refs(clones.ada)
    for args in (("run", "job"), ("status", "job"), ("approve", "job")):
        result = clones.run("ada", *args)
        assert (result.code, "[git_failed]" in result.err) == (5, True), result.text
        assert f"git ls-remote {clones.remote}" in result.err
    assert clones.refs(clones.ada) == before
    away.rename(clones.remote)
    assert clones.run("ada", "run", "job").code == 0


def test_F04_remote_refuses(clones: Clones) -> None:
    """A remote whose hook declines the push gets no run started, here either."""
    clones.propose("job", READ + EDIT)
    hook = clones.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no runs today >&2\nexit 1\n")
    hook.chmod(0o755)
    result = clones.run("ada", "run", "job")
    assert result.code == 5, result.text
    assert "no runs today" in result.err
    assert not [name for name in clones.refs(clones.ada) if name.endswith("job/1")]
    hook.unlink()
    assert clones.run("ada", "run", "job").code == 0


def test_F04_push_made_but_not_known(clones: Clones) -> None:
    """A crash after the push and before the local refs moved: the next run finds it."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "run", "job", "--step").code == 0
    for ref in ("heads/planlock/job/1", "planlock/leases/job/1"):
        clones.git("ada", "update-ref", f"refs/{ref}", f"refs/{ref}~1")
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    assert (
        clones.refs()["refs/heads/planlock/job/1"]
        == clones.refs(clones.ada)["refs/heads/planlock/job/1"]
    )


@pytest.mark.usefixtures("confined")
def test_A39_two_clones_at_once(clones: Clones) -> None:
    """Two clones that start together make one run with one winner; the other is told."""
    clones.propose("job", READ + EDIT + command("sleep 0.5", name="wait"))
    both = [clones.start(who, "run", "job") for who in ("ada", "bob")]
    ends = [(*process.communicate(timeout=60), process.returncode) for process in both]
    codes = sorted(code for _, _, code in ends)
    assert codes == [0, 4], ends
    assert any("[run_held]" in err for _, err, _ in ends)
    runs = [name for name in clones.refs() if name.startswith("refs/heads/planlock/job/")]
    assert runs == ["refs/heads/planlock/job/1"]
    again = clones.run("ada", "run", "job", "--new")
    assert again.code == 4
    assert "used up" in again.text, again.text


def test_relative_url_counts_from_the_top(clones: Clones) -> None:
    """A relative path as URL works from every folder of the work tree."""
    clones.propose("job", READ + EDIT)
    relative = os.path.relpath(clones.remote, clones.ada)
    clones.git("ada", "config", "planlock.home", relative)
    inner = clones.ada / "deep/er"
    inner.mkdir(parents=True)
    result = clones.team.cli("ada", "run", "job", cwd=inner, env=clones.extra)
    assert result.code == 0, result.text


@pytest.mark.parametrize(
    "url", ["--upload-pack=touch marker;", "ext::sh -c touch% marker", "-x", "fd::3"]
)
def test_D13_url_that_runs_a_program(clones: Clones, url: str) -> None:
    """A URL is never an option or a transport that starts programs."""
    clones.propose("job", READ)
    clones.git("ada", "config", "protocol.allow", "always")
    clones.git("ada", "config", "protocol.ext.allow", "always")
    result = clones.team.cli("ada", "run", "job", env={**clones.extra, "PLANLOCK_HOME": url})
    assert (result.code, "[git_failed]" in result.err) == (5, True), result.text
    assert not list(clones.team.base.rglob("marker"))


def test_D13_configured_programs_of_a_remote(clones: Clones) -> None:
    """Programs that the configuration names for the home's very URL are not started."""
    clones.propose("job", READ + EDIT)
    marker = clones.team.base / "marker"
    url = f"file://{clones.remote}"
    clones.git("ada", "config", "planlock.home", url)
    for name, program in (("uploadpack", "upload-pack"), ("receivepack", "receive-pack")):
        clones.git("ada", "config", f"remote.{url}.{name}", f"touch {marker}; git {program}")
    clones.git("ada", "config", "push.gpgSign", "true")
    clones.git("ada", "config", "gpg.program", f"touch {marker}")
    clones.git("ada", "config", "core.alternateRefsCommand", f"touch {marker}")
    hook = clones.ada / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    done = clones.run("ada", "run", "job")
    assert done.code == 0, done.text
    assert not marker.exists()
    assert clones.refs(clones.ada)["refs/heads/planlock/job/1"] in clones.refs().values()


def test_rewritten_edit_is_stale_in_the_other_clone(clones: Clones) -> None:
    """A plan that moved on in the home is what counts, not the copy at hand."""
    clones.propose("job", EDIT)
    clones.git("bob", "fetch", "-q", "origin")
    clones.git("ada", "fetch", "-q", "origin", "plan/job:plan/job")
    text = (clones.ada / "plans/job/plan.yaml").read_text()
    (clones.ada / "plans/job/plan.yaml").write_text(text.replace("2 else", "1 else"))
    assert clones.run("ada", "propose", "job").code == 0
    clones.git("ada", "push", "-q", "origin", "plan/job")
    result = clones.run("bob", "run", "job")
    assert result.code == 4, result.text
    assert "digest_changed" in result.err or "approvals_missing" in result.err
    assert FACTORIAL not in clones.team.show_file("main", "utils.py")


def test_A40_each_publication_moves_branch_and_lease(clones: Clones) -> None:
    """The server is asked to compare both refs in the same push, not only the one that grew."""
    clones.propose("job", READ + EDIT)
    log = clones.remote / "pushes"
    hook = clones.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n(cut -d' ' -f3 | sort | tr '\\n' ' '; echo) >> {log}\n")
    hook.chmod(0o755)
    assert clones.run("ada", "run", "job").code == 0
    branch, lease = "refs/heads/planlock/job/1", "refs/planlock/leases/job/1"
    published = [line for line in log.read_text().splitlines() if branch in line]
    assert len(published) == 4
    assert all(line.startswith(f"{branch} {lease}") for line in published)


def test_plan_branch_deleted_in_the_home(clones: Clones) -> None:
    """What the home no longer has does not run from an old copy; other plans are named."""
    for name in ("job", "jobs"):
        clones.propose(name, READ)
    assert clones.run("ada", "status", "job").code == 0
    assert clones.run("ada", "status", "jobs").code == 0
    clones.git("bob", "push", "-q", "origin", ":plan/job")
    clones.git("ada", "branch", "-q", "-D", "plan/job")
    (clones.ada / "plans/job/plan.yaml").unlink()
    for args in (("run", "job"), ("status", "job"), ("approve", "job"), ("run", "job")):
        result = clones.run("ada", *args)
        assert (result.code, "[not_found]" in result.err) == (3, True), result.text
        assert "refs/heads/main has no plans/job/plan.yaml" in result.err
        assert "plans here: jobs" in result.err


def test_plan_merged_and_deleted_in_the_home(clones: Clones) -> None:
    """A clone that knew the plan's branch takes the plan from the trusted branch thereafter."""
    clones.propose("job", READ + EDIT)
    assert clones.run("ada", "status", "job").code == 0
    clones.git("bob", "switch", "-q", "main")
    clones.git("bob", "merge", "-q", "--no-ff", "-m", "Merge", "plan/job")
    clones.git("bob", "push", "-q", "origin", "main", ":plan/job")
    shown = clones.run("ada", "show", "job", "--json")
    assert shown.json["source"] == "refs/heads/main"
    assert clones.run("ada", "run", "job").code == 0
    assert clones.run("ada", "audit").code == 0


def test_rewritten_trusted_branch_names_what_to_do(clones: Clones) -> None:
    """No words of git, but what is gone, where to look, and the commands that accept it."""
    clones.propose("job", READ)
    assert clones.run("ada", "status", "job").code == 0
    old = clones.refs()["refs/heads/main"]
    clones.team.git("update-ref", "refs/heads/main", "main~1", cwd=clones.remote)
    result = clones.run("ada", "status", "job")
    assert "non-fast-forward" not in result.err
    told = f"refs/heads/main of the home was rewritten: it no longer has commit {old[:12]}"
    assert told in result.err
    look, _, accept = result.err.partition("hint: ")[2].strip().partition("; if this is meant: ")
    assert old[:12] in clones.git("ada", *look.partition(": git ")[2].split())[: 7 + 12]
    for each in accept.split(" && "):
        clones.git("ada", *each.split()[1:])
    assert "rewritten" not in clones.run("ada", "status", "job").err


class TestMistypedPlan:
    def test_nearest_plans_of_the_home_first(self, clones: Clones) -> None:
        """Plans that only the home has are named too, those whose names are nearest in front."""
        clones.propose("add-factorial", READ)
        clones.push_empty_plans("zebra", "bump")
        clones.git("ada", "branch", "-q", "-D", "plan/add-factorial")
        result = clones.run("ada", "run", "add-factoral")
        assert result.code == 3
        assert "hint: plans here: add-factorial, " in result.err
        assert "zebra" in result.err

    def test_plans_of_the_trusted_branch(self, clones: Clones) -> None:
        """A plan that was merged and has no branch any more is named."""
        clones.team.commit({"plans/merged/plan.yaml": "x\n"}, "Merge")
        clones.team.git("push", "-q", "origin", "main")
        assert "plans here: merged\n" in clones.run("ada", "run", "merge").err

    def test_at_most_ten(self, clones: Clones) -> None:
        """Of many plans ten are named, and how many there are besides."""
        names = [f"job-{number:02}" for number in range(13)]
        clones.push_empty_plans(*names)
        hint = clones.run("ada", "run", "job-5").err.partition("plans here: ")[2].strip()
        assert hint.split(", ")[0] == "job-05"
        assert len(hint.split(", ")) == 11
        assert hint.endswith(", … 3 more")


class TestOfflineAudit:
    """Without a network, the newest that this clone heard of the home is what it judges by."""

    @pytest.fixture
    def newer(self, clones: Clones) -> str:
        """Ada's clone has fetched the home; then bob pushes a policy."""
        assert clones.run("ada", "whoami").code == 0
        path = clones.bob / "plans/policy.yaml"
        path.write_text(path.read_text().replace("self_approval: false", "self_approval: true"))
        clones.git("bob", "commit", "-qam", "Loosen")
        clones.git("bob", "push", "-q", "origin", "main")
        return clones.git("bob", "rev-parse", "main")

    def audit(self, clones: Clones) -> Result:
        return clones.run("ada", "audit")

    def test_as_last_fetched_is_said(self, clones: Clones, newer: str) -> None:
        """The commit that decided is shown, and that the home may have gone on."""
        old = clones.git("ada", "rev-parse", "main")
        clones.remote.rename(clones.remote.with_name("away.git"))
        shown = self.audit(clones).out
        assert f"trusted refs/heads/main@{old[:12]} of the home as last fetched" in shown
        assert newer[:12] not in shown

    def test_origin_that_is_ahead_judges(self, clones: Clones, newer: str) -> None:
        """A plain `git fetch` is enough for the audit to see the policy of today."""
        clones.git("ada", "fetch", "-q", "origin")
        shown = self.audit(clones).out
        assert f"trusted refs/remotes/origin/main@{newer[:12]} as last fetched" in shown
        assert "self_approval: false -> true" in shown

    def test_home_that_is_ahead_of_origin_judges(self, clones: Clones, newer: str) -> None:
        """An old tracking branch takes nothing back."""
        assert clones.run("ada", "whoami").code == 0
        found = clones.run("ada", "audit", "--json").json
        assert found["trusted"] == f"refs/heads/main@{newer[:12]}"
        assert found["trusted_as"] == "of the home as last fetched"
        assert not any("rewritten" in note for note in found["notes"])

    @pytest.mark.usefixtures("newer")
    def test_parted_branches_are_noted(self, clones: Clones) -> None:
        """Where neither descends from the other somebody rewrote one, and the home is kept to."""
        old = clones.git("ada", "rev-parse", "main")
        other = clones.git("ada", "commit-tree", "-m", "Aside", "-p", "main~1", "main^{tree}")
        clones.git("ada", "update-ref", "refs/remotes/origin/main", other)
        found = clones.run("ada", "audit", "--json").json
        assert found["trusted"] == f"refs/heads/main@{old[:12]}"
        [note] = [each for each in found["notes"] if "was rewritten at some time" in each]
        assert (old[:12] in note, other[:12] in note) == (True, True)

    @pytest.mark.usefixtures("newer")
    def test_another_repository_as_origin_does_not_judge(self, clones: Clones) -> None:
        """A fork as `origin` may be ahead as it likes."""
        old = clones.git("ada", "rev-parse", "main")
        clones.git("ada", "fetch", "-q", "origin")
        clones.git("ada", "config", "remote.origin.url", "https://fork.invalid/it.git")
        assert f"trusted refs/heads/main@{old[:12]} of the home" in self.audit(clones).out

    def test_relative_origin_is_the_same_place(self, clones: Clones, newer: str) -> None:
        """A path that counts from the work tree is known again."""
        relative = os.path.relpath(clones.remote, clones.ada)
        clones.git("ada", "remote", "set-url", "origin", relative)
        clones.git("ada", "fetch", "-q", "origin")
        assert f"origin/main@{newer[:12]}" in self.audit(clones).out
