"""Attacks on the plan's branch, its base, the repository and the run's branch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from forging import codes, commit_on, plan_of, run_codes
from team import EDIT, READ, Team

from runner.core import canonical

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
TWO = STEP.format("one") + STEP.format("two")


def approved(team: Team, steps: str = EDIT) -> str:
    """Propose a plan and let bob approve it; the branch tip is given back."""
    team.propose("job", steps)
    return str(team.approve("bob", "job").json["commit"])


def rewrite_plan(team: Team, old: str, new: str, *, signed: bool = False) -> None:
    """Push an edited plan by hand, past `propose`."""
    text = team.show_file("plan/job", "plans/job/plan.yaml") + "\n"
    assert old in text
    files: dict[str, bytes | None] = {"plans/job/plan.yaml": text.replace(old, new).encode()}
    commit_on(team, "plan/job", files, signed=signed)


class TestStale:
    def test_A05_the_gate_is_asked_again_before_every_step(self, team: Team) -> None:
        """What changes while a run waits between two steps counts for the next one."""
        approved(team, TWO)
        assert team.cli("ada", "run", "job", "--until", "one").code == 0
        assert team.cli("bob", "withdraw", "job").code == 0
        assert run_codes(team, "job") == ["approvals_missing", "withdrawn"]

    def test_A06_another_base_voids_every_approval(self, team: Team) -> None:
        """The base is inside the digests, so a plan moved onto another base is another plan."""
        approved(team)
        team.commit({"new.txt": "n\n"}, "Go on")
        assert team.cli("ada", "propose", "job", "--refresh").code == 0
        assert run_codes(team, "job") == ["approvals_missing", "approval_stale"]

    def test_A34_a_file_beside_the_plan_is_refused(self, team: Team) -> None:
        """A conftest.py pushed beside the approved plan makes the branch stale."""
        approved(team)
        commit_on(team, "plan/job", {"conftest.py": b"import os\n"})
        done = team.cli("ada", "run", "job", "--json")
        assert codes(done) == ["stale"]
        assert "conftest.py" in done.out

    @pytest.mark.parametrize("path", ["plans/other/plan.yaml", "plans/policy.yaml", "utils.py"])
    def test_A34_A12_nothing_else_may_differ_from_base(self, team: Team, path: str) -> None:
        """Neither another plan's folder nor the policy nor a deleted file goes along."""
        approved(team)
        content = None if path == "utils.py" else b"version: 1\n"
        commit_on(team, "plan/job", {path: content})
        assert run_codes(team, "job") == ["stale"]

    def test_A12_a_policy_on_the_plans_branch_has_no_authority(self, team: Team) -> None:
        """A branch that frees its own edit still needs what the trusted policy asks."""
        team.propose("job", EDIT)
        policy = (team.root / "plans/policy.yaml").read_text()
        freed = policy.replace("edit_file: 1", "edit_file: 0").encode()
        commit_on(team, "plan/job", {"plans/policy.yaml": freed})
        assert run_codes(team, "job") == ["stale"]

    def test_A35_a_base_off_the_trusted_history_is_refused(self, team: Team) -> None:
        """A base that only exists on a side branch is nobody's reviewed tree."""
        team.git("switch", "-q", "-c", "side")
        side = team.commit({"utils.py": "evil\n"}, "Side")
        team.git("switch", "-q", "main")
        team.propose("job", EDIT, extra=f"base: {side}\n")
        done = team.cli("ada", "run", "job", "--json")
        assert codes(done) == ["base_untrusted"]
        assert "refs/heads/main@" in done.out
        assert team.cli("bob", "approve", "job").code == 4

    def test_A35_a_base_that_does_not_exist_is_refused(self, team: Team) -> None:
        """A base that no object answers to is refused where the plan is proposed and run."""
        approved(team)
        base = plan_of(team, "job").plan.base
        assert base is not None
        rewrite_plan(team, base, "d" * 40, signed=True)
        assert run_codes(team, "job") == ["base_untrusted"]

    def test_A31_a_plan_in_unsigned_commits_is_refused(self, team: Team) -> None:
        """Naming somebody else as author in an unsigned commit does not get past the gate."""
        team.propose("job", EDIT)
        rewrite_plan(team, "author: ada@", "author: cleo@")
        team.approve("bob", "job")
        done = team.cli("ada", "run", "job", "--json")
        assert codes(done) == ["plan_unsigned"]

    def test_A31_who_signed_the_plan_cannot_approve_it(self, team: Team) -> None:
        """Naming somebody else as author in a signed commit does not free its maker."""
        team.propose("job", EDIT)
        rewrite_plan(team, "author: ada@", "author: cleo@", signed=True)
        assert team.cli("ada", "approve", "job").code == 4
        team.approve("bob", "job")
        assert team.cli("ada", "run", "job").code == 0

    def test_A31_a_signature_by_a_stranger_is_none(self, team: Team) -> None:
        """A plan commit signed with a key that nobody listed counts as unsigned."""
        team.propose("job", EDIT)
        text = team.show_file("plan/job", "plans/job/plan.yaml").replace("Add", "Insert") + "\n"
        files: dict[str, bytes | None] = {"plans/job/plan.yaml": text.encode()}
        commit_on(team, "plan/job", files, who="eve", signed=True)
        assert "plan_unsigned" in run_codes(team, "job")


class TestA27:
    """Replace refs, grafts, shallow clones, hooks and the environment are ignored or refused."""

    def test_A27_replace_refs_do_not_change_what_an_id_means(self, team: Team) -> None:
        """A replaced plan blob is not what the gate reads."""
        tip = approved(team, READ + EDIT)
        old = team.git("rev-parse", f"{tip}:plans/job/plan.yaml")
        text = team.git("cat-file", "blob", old).replace("factorial", "backdoor")
        new = team.git("hash-object", "-w", "--stdin", stdin=text + "\n")
        team.git("replace", old, new)
        assert "backdoor" in team.show_file(tip, "plans/job/plan.yaml")
        assert team.cli("ada", "run", "job").code == 0
        run = team.git("--no-replace-objects", "show", "planlock/job/1:utils.py")
        assert "factorial" in run

    def test_A27_a_replaced_base_does_not_hide_a_stray_file(self, team: Team) -> None:
        """A replace ref that makes the base look like the branch changes nothing."""
        approved(team)
        stray = commit_on(team, "plan/job", {"conftest.py": b"evil\n"})
        base = plan_of(team, "job").plan.base
        assert base is not None
        team.git("replace", "-f", base, stray)
        assert run_codes(team, "job") == ["stale"]

    def test_A27_grafts_do_not_invent_history(self, team: Team) -> None:
        """A side commit grafted into the trusted history is still no base."""
        team.git("switch", "-q", "-c", "side")
        side = team.commit({"utils.py": "evil\n"}, "Side")
        team.git("switch", "-q", "main")
        head = team.git("rev-parse", "HEAD")
        team.propose("job", EDIT, extra=f"base: {side}\n")
        info = team.root / ".git/info"
        info.mkdir(exist_ok=True)
        (info / "grafts").write_text(f"{head} {side}\n")
        assert run_codes(team, "job") == ["base_untrusted"]

    def test_A27_a_shallow_clone_is_refused(self, team: Team) -> None:
        """Where history is cut off, nothing can be judged by it."""
        approved(team)
        clone = team.base / "clone"
        team.git("clone", "-q", "--depth=1", f"file://{team.root}", str(clone))
        done = team.cli("ada", "run", "job", "--json", cwd=clone)
        assert (done.code, codes(done)) == (4, ["authority_refused"])
        assert "shallow" in done.out

    def test_A27_hooks_of_the_repository_do_not_run(self, team: Team) -> None:
        """Neither a hook in its usual place nor one named by core.hooksPath is started."""
        hooks, told = team.base / "hooks", team.base / "told"
        hooks.mkdir()
        for name in ("reference-transaction", "post-index-change", "pre-push"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch {told}\n")
            (hooks / name).chmod(0o755)
        approved(team)
        shutil.copytree(hooks, team.root / ".git/hooks", dirs_exist_ok=True)
        for _ in range(2):
            assert team.cli("ada", "run", "job", "--new").code == 0
            team.git("-c", f"core.hooksPath={told}", "config", "core.hooksPath", str(hooks))
        assert not told.exists()

    def test_A27_the_environment_cannot_point_git_elsewhere(self, team: Team) -> None:
        """GIT_DIR, an index, replace refs or configuration from outside have no effect."""
        approved(team)
        other = Team.start(team.base / "other")
        env = {
            "GIT_DIR": str(other.root / ".git"),
            "GIT_WORK_TREE": str(other.root),
            "GIT_INDEX_FILE": str(other.root / ".git/index"),
            "GIT_OBJECT_DIRECTORY": str(other.root / ".git/objects"),
            "GIT_COMMON_DIR": str(other.root / ".git"),
            "GIT_REPLACE_REF_BASE": "refs/heads/",
            "GIT_NAMESPACE": "evil",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "planlock.trustedRef",
            "GIT_CONFIG_VALUE_0": "refs/heads/plan/job",
        }
        before = other.git("for-each-ref")
        done = team.cli("ada", "run", "job", env=env)
        assert done.code == 0, done.text
        assert team.refs("refs/heads/planlock/") == ["refs/heads/planlock/job/1"]
        assert other.git("for-each-ref") == before


class TestRunBranch:
    """A25 and A43: a runner does not go on with a run branch that is not as runners left it."""

    @pytest.fixture
    def waiting(self, team: Team) -> Iterator[Team]:
        """A run that did its first step and is to go on."""
        approved(team, TWO)
        assert team.cli("ada", "run", "job", "--until", "one").code == 0
        yield team
        done = team.cli("ada", "run", "job", "--json")
        assert (done.code, codes(done)) == (4, ["authority_refused"])
        assert "cannot be continued" in done.out or "moved other than forward" in done.out

    def test_A25_a_rewritten_record_breaks_the_chain(self, waiting: Team) -> None:
        """A record put on the branch whose `previous` does not follow stops the run."""
        path = "plans/job/runs/1/001-one.yaml"
        text = waiting.show_file("planlock/job/1", path).replace("attempt: 1", "attempt: 2")
        again = f"{text}\n".encode()
        commit_on(
            waiting,
            "planlock/job/1",
            {path: again, "plans/job/runs/1/002-one.yaml": again},
            signed=True,
        )

    def test_A43_a_commit_that_the_runner_did_not_sign_stops_the_run(self, waiting: Team) -> None:
        """Anybody's commit on the run branch, signed or not, is not the runner's."""
        commit_on(waiting, "planlock/job/1", {"two": b"x"}, signed=True)

    def test_A43_a_chain_of_ones_own_is_not_continued(self, waiting: Team) -> None:
        """A consistent run that a person made and signed, naming themselves runner, is refused."""
        path = "plans/job/runs/1/run.yaml"
        text = waiting.show_file("planlock/job/1", path) + "\n"
        forged = text.replace("runner@planlock", "ada@example.com").encode()
        record = "plans/job/runs/1/001-one.yaml"
        first = waiting.show_file("planlock/job/1", record) + "\n"
        chained = first.replace(canonical.sha256_text(text.encode()), canonical.sha256_text(forged))
        assert chained != first
        commit_on(waiting, "planlock/job/1", {path: forged, record: chained.encode()}, signed=True)

    def test_A25_a_run_branch_that_moved_back_is_not_continued(self, waiting: Team) -> None:
        """Cutting the last record off would repeat its step; it is noticed."""
        waiting.git("update-ref", "refs/heads/planlock/job/1", "planlock/job/1~")

    def test_A43_a_branch_without_its_plan_is_not_continued(self, waiting: Team) -> None:
        """A run branch from which the plan was deleted is refused."""
        commit_on(waiting, "planlock/job/1", {"plans/job/plan.yaml": None}, signed=True)
