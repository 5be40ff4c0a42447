from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from forging import commit_on, draft, forge, plan_of
from team import CHECK, EDIT, READ, UTILS, Team, command

from runner.core.values import time_text

STEP = "- {{id: {0}, step_type: edit_file, description: D, input: {{path: {0}, new_content: x}}}}\n"
THREE = "".join(STEP.format(name) for name in ("one", "two", "three"))
PLAN = "plans/job/plan.yaml"
CHANGED = EDIT.replace("n < 2", "n <= 1")
SWAP = """\
- {id: again, step_type: edit_file, description: D,
   input: {path: utils.py, edits: [{search: a + b, replace: b + a}]}}
"""


def diff(team: Team, who: str = "bob", *options: str) -> dict[str, Any]:
    done = team.cli(who, "diff", "job", *options, "--json")
    assert done.code == 0, done.text
    found: dict[str, Any] = done.json
    return found


def text(team: Team, who: str = "bob", *options: str) -> str:
    done = team.cli(who, "diff", "job", *options)
    assert done.code == 0, done.text
    return done.out


def states(found: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["state"] for each in found["steps"]}


def step(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [each for each in found["steps"] if each["id"] == name]
    return dict(one)


def approved(team: Team, steps: str, *options: str, extra: str = "") -> str:
    """Propose a plan that bob approves; gives its digest."""
    team.propose("job", steps, extra=extra)
    return str(team.approve("bob", "job", *options).json["plan_digest"])


def based(team: Team, steps: str) -> bytes:
    """A plan file that is based on the trusted branch."""
    base = team.git("rev-parse", "main")
    return team.plan("job", steps, f"base: {base}\nauthor: ada@example.com\n").read_bytes()


class TestSteps:
    def test_nothing_changed(self, team: Team) -> None:
        """Each step takes one line, and nothing is left to decide."""
        approved(team, READ + EDIT)
        assert "found    2 unchanged\n\n= 1/2 read  unchanged\n= 2/2 edit  unchanged\n" in text(
            team
        )

    def test_an_edit_is_shown_as_it_was_approved_and_as_it_is(self, team: Team) -> None:
        """First the file that comes of it then and now, then all that it changes."""
        approved(team, READ + EDIT + command(CHECK))
        team.propose("job", READ + CHANGED + command(CHECK))
        found = diff(team)
        assert states(found) == {"read": "unchanged", "edit": "changed", "check": "context"}
        edit = step(found, "edit")
        assert "-    return 1 if n < 2 else n * factorial(n - 1)" in edit["diff"]
        assert "+    return 1 if n <= 1 else n * factorial(n - 1)" in edit["diff"]
        assert "+def factorial(n):" not in edit["diff"]
        assert "+def factorial(n):" in edit["view"]["diff"]
        assert edit["fields"] == []
        shown = text(team)
        assert "behind a change: nothing new to read, to be approved anew" in shown
        assert "in all:\n    --- a/utils.py" in shown
        assert shown.endswith("\nTo decide: planlock review job\n")

    def test_a_command_is_shown_as_old_and_new(self, team: Team) -> None:
        """Whatever else of it changed follows, field by field."""
        approved(team, command("make test"))
        team.propose("job", command("make check", more="writes: ['out/*']\ntimeout_s: 60\n"))
        for part in (
            "input.command:\n      -make test\n      +make check\n",
            "input.writes:\n      +out/*\n",
            "input.timeout_s:\n      +60\n",
        ):
            assert part in text(team)

    def test_a_long_command_is_compared_line_by_line(self, team: Team) -> None:
        """Lines that are as they were are not shown as old and new."""
        lines = [f"echo {number}" for number in range(9)]
        approved(team, command("\n".join(lines)))
        team.propose("job", command("\n".join([*lines[:-1], "echo ten"])))
        shown = text(team)
        assert "-echo 8\n      +echo ten\n" in shown
        assert "-echo 0" not in shown

    def test_added_removed_and_moved_steps(self, team: Team) -> None:
        """What came is shown whole, what went in a line, what moved is known."""
        one, two, three = (STEP.format(name) for name in ("one", "two", "three"))
        approved(team, one + two + three)
        team.propose("job", one + three + command("echo new", name="new"))
        found = diff(team)
        assert states(found) == {
            "one": "unchanged",
            "two": "removed",
            "three": "context",
            "new": "added",
        }
        assert step(found, "two")["line"] == "create two"
        assert dict(step(found, "new")["view"]["details"])["command"] == "echo new"
        team.propose("job", three + one + two)
        assert sorted(states(diff(team)).values()) == ["context", "context", "moved"]

    def test_an_appended_step_leaves_the_approval_of_the_others(self, team: Team) -> None:
        """The version compared with is the one that was approved, though a later one has it all."""
        approved(team, STEP.format("one"))
        team.propose("job", STEP.format("one") + STEP.format("two"))
        assert states(diff(team)) == {"one": "unchanged", "two": "added"}

    def test_steps_that_were_left_out_are_shown_whole(self, team: Team) -> None:
        """A partial approval is no word about the other steps."""
        approved(team, THREE, "--step", "one")
        found = diff(team)
        assert states(found) == {"one": "unchanged", "two": "not_approved", "three": "not_approved"}
        assert step(found, "two")["view"]["diff"][-2:] == ["+x", "\\ No newline at end of file"]

    def test_partial_approvals_add_up(self, team: Team) -> None:
        """What was approved before the last time is known too."""
        approved(team, THREE, "--step", "one")
        team.approve("bob", "job", "--step", "two")
        assert states(diff(team)) == {
            "one": "unchanged",
            "two": "unchanged",
            "three": "not_approved",
        }

    def test_an_edit_on_top_of_a_changed_one_shows_what_comes_of_it(self, team: Team) -> None:
        """Its own replacement is as it was, but the file that it leaves is not."""
        approved(team, EDIT + SWAP)
        team.propose("job", CHANGED + SWAP)
        found = step(diff(team), "again")
        assert found["state"] == "changed"  # its pin names the file that it is written against
        assert [each["field"] for each in found["fields"]] == ["input.replaces"]
        assert "+    return 1 if n <= 1 else n * factorial(n - 1)" in found["diff"]

    def test_a_file_that_becomes_another_behind_a_known_step_is_shown(self, team: Team) -> None:
        """A step that is not pinned may be word for word as it was and yet leave another file."""
        fmt = command("make fmt", more="writes: [utils.py]\n")
        approved(team, EDIT + fmt + SWAP)
        team.propose("job", CHANGED + fmt + SWAP)
        found = step(diff(team), "again")
        assert (found["state"], found["fields"]) == ("context", [])
        assert "+    return 1 if n <= 1 else n * factorial(n - 1)" in found["diff"]


class TestAround:
    def test_a_change_of_the_header_voids_everything(self, team: Team) -> None:
        """It is told before the steps, whose content is as it was."""
        approved(team, READ + EDIT)
        head = team.root / "plans/job/plan.yaml"
        team.write({"plans/job/plan.yaml": head.read_text().replace("goal: Do job", "goal: Else")})
        assert team.cli("ada", "propose", "job").code == 0
        found = diff(team)
        assert set(states(found).values()) == {"context"}
        shown = text(team)
        assert "header changed, which voids every approval given before:\n    goal:\n" in shown
        assert shown.index("-Do job") < shown.index("= 1/2 read")

    def test_what_no_approval_is_about_is_told_apart(self, team: Team) -> None:
        """Budget and questions change no digest, and yet a reviewer wants to know."""
        approved(team, READ, extra='budget: {usd: "0.50"}\nquestions: ["Why?"]\n')
        team.propose("job", READ, extra='budget: {usd: "0.70"}\nquestions: ["How?"]\n')
        shown = text(team)
        assert "beside what is approved:\n    budget.usd:\n      -0.50\n      +0.70\n" in shown
        assert "questions:\n      -Why?\n    questions:\n      +How?\n" in shown
        assert states(diff(team)) == {"read": "unchanged"}

    def test_a_change_of_the_sandbox_is_told(self, team: Team) -> None:
        """With what commands may do now, since it voids the approval."""
        approved(team, command("make"))
        team.policy("tools: []", "tools: [.venv]")
        found = diff(team)
        assert [each["code"] for each in found["given"]["reasons"]] == ["execution_changed"]
        assert found["given"]["execution"] == [
            {"field": "sandbox.tools", "then": "none", "now": ".venv"}
        ]
        shown = text(team)
        assert "= 1/1 check  unchanged, but the approval no longer counts" in shown
        assert "what commands may do here changed" in shown

    def test_settings_written_otherwise_are_told_by_digest(self, team: Team) -> None:
        """The digest is of what is written, even where it means the same."""
        approved(team, command("make"))
        team.policy(", secrets: []", "")
        (change,) = diff(team)["given"]["execution"]
        assert change["field"] == "sandbox and plugins"
        assert change["then"].startswith("sha256:")

    @pytest.mark.parametrize(
        "verb,said", [("withdraw", "bob@example.com withdrew at"), ("reject", "rejected at")]
    )
    def test_an_approval_that_was_taken_back_is_said_to_be(
        self, team: Team, verb: str, said: str
    ) -> None:
        """The comparison is still with what was read."""
        approved(team, EDIT)
        assert team.cli("bob", verb, "job").code == 0
        found = diff(team)
        assert states(found) == {"edit": "unchanged"}
        assert not step(found, "edit")["stands"]
        (reason,) = found["given"]["reasons"]
        assert (reason["code"], said in reason["message"]) == ("withdrawn", True)

    def test_an_older_approval_that_lapsed_says_why(self, team: Team) -> None:
        """Beside a later one of other steps, which counts."""
        team.propose("job", STEP.format("one") + STEP.format("two"))
        made_at = time_text(datetime.now(UTC) - timedelta(days=8))
        old = draft(team, "job", "bob", made_at=made_at)
        old["steps"].pop("two")
        forge(team, "job", old, key="bob")
        team.approve("bob", "job", "--step", "two")
        assert step(diff(team), "one")["lapse"][0]["code"] == "approval_expired"
        shown = " ".join(text(team).split())
        lapsed = "one unchanged, but the approval no longer counts: bob@example.com's approval"
        assert f"{lapsed} expired at" in shown
        assert "two unchanged" in shown
        assert shown.count("no longer counts") == 1

    def test_an_older_approval_that_was_rejected_since_says_so(self, team: Team) -> None:
        """A later approval of another step leaves the rejection in force."""
        approved(team, THREE, "--step", "one")
        team.approve("bob", "job", "--step", "two")
        assert team.cli("bob", "reject", "job", "--step", "one").code == 0
        shown = " ".join(text(team).split())
        assert "one unchanged, but the approval no longer counts: bob@example.com rejected" in shown

    def test_an_approval_that_expired_is_said_to_be(self, team: Team) -> None:
        """The policy's term counts, as it does for the gate."""
        team.propose("job", EDIT)
        made_at = time_text(datetime.now(UTC) - timedelta(days=8))
        forge(team, "job", draft(team, "job", "bob", made_at=made_at), key="bob")
        found = diff(team)
        assert [each["code"] for each in found["given"]["reasons"]] == ["approval_expired"]
        assert "the approval no longer counts:\n    - bob@example.com's approval expired" in text(
            team
        )

    def test_an_approval_that_a_run_used_up_is_said_to_be(self, team: Team) -> None:
        """Limits on runs count, as they do for the gate."""
        approved(team, STEP.format("one"), "--max-runs", "1")
        assert team.cli("ada", "run", "job").code == 0
        codes = [each["code"] for each in diff(team)["given"]["reasons"]]
        assert codes == ["approval_consumed"]


class TestWhichVersion:
    def test_without_an_approval_there_is_a_hint(self, team: Team) -> None:
        """Who has not approved anything reads the plan as a whole."""
        team.propose("job", EDIT)
        done = team.cli("bob", "diff", "job")
        assert (done.code, "hint: planlock show job" in done.err) == (3, True)

    def test_somebody_elses_approval_needs_no_key(self, team: Team) -> None:
        """Anybody may see what changed since bob approved."""
        approved(team, EDIT)
        no_key = {"PLANLOCK_KEY": str(team.base / "none")}
        done = team.cli("eve", "diff", "job", "--by", "bob@example.com", "--json", env=no_key)
        assert (done.code, states(done.json)) == (0, {"edit": "unchanged"})
        assert team.cli("eve", "diff", "job", env=no_key).code == 3
        assert team.cli("eve", "diff", "job", "--by", "cleo@example.com").code == 3

    def test_a_key_that_is_not_listed_has_approved_nothing(self, team: Team) -> None:
        """The reason says what is wrong with the key."""
        approved(team, EDIT)
        done = team.cli("eve", "diff", "job")
        assert (done.code, "is not listed in" in done.err) == (3, True)

    @pytest.mark.parametrize("length", [12, 64])
    def test_a_version_can_be_named_by_its_digest(self, team: Team, length: int) -> None:
        """In full or by its beginning, by anybody, approved or not."""
        team.propose("job", READ + EDIT)
        digest = team.cli("ada", "status", "job", "--json").json["digest"]
        team.propose("job", READ + CHANGED)
        since = digest.removeprefix("sha256:")[:length]
        found = diff(team, "eve", "--since", since)
        assert (found["then"], found["given"]) == (digest, None)
        shown = text(team, "eve", "--since", since)
        assert "= 1/2 read  unchanged\n" in shown
        assert "no longer counts" not in shown
        assert states(found) == {"read": "unchanged", "edit": "changed"}

    @pytest.mark.parametrize(
        "options,code",
        [
            (["--since", "0" * 12], 3),
            (["--since", "abc"], 2),
            (["--since", "0" * 12, "--by", "bob@example.com"], 2),
        ],
    )
    def test_a_version_that_is_not_there(self, team: Team, options: list[str], code: int) -> None:
        """Unknown is not found; what is no digest, or one question too many, is wrong usage."""
        approved(team, EDIT)
        assert team.cli("bob", "diff", "job", *options).code == code

    def test_A03_dates_prove_nothing(self, team: Team) -> None:
        """The version is found by digest, though every commit claims another time."""
        digest = approved(team, READ + EDIT)
        old = team.show_file("plan/job", PLAN)
        for year in ("2001", "2035"):
            dates = dict.fromkeys(("GIT_COMMITTER_DATE", "GIT_AUTHOR_DATE"), f"{year}-01-01T00:00Z")
            new = old.replace("n < 2", f"n < {year}") + "\n"
            commit_on(team, "plan/job", {PLAN: new.encode()}, env=dates)
            found = diff(team)
            assert (found["then"], states(found)["edit"]) == (digest, "changed")

    def test_a_record_that_was_carried_elsewhere_still_finds_its_version(self, team: Team) -> None:
        """Beside it lies another plan, so the digests are looked for in every version."""
        team.propose("job", READ + EDIT)
        record, digest = draft(team, "job", "bob"), plan_of(team, "job").digest
        team.propose("job", READ + CHANGED)
        forge(team, "job", record, key="bob")
        found = diff(team)
        assert (found["then"], states(found)) == (digest, {"read": "unchanged", "edit": "changed"})

    def test_a_record_beside_a_longer_plan_covers_no_more_than_it_names(self, team: Team) -> None:
        """What stands behind the approved steps is shown whole, wherever the record lies."""
        team.propose("job", STEP.format("one"))
        record = draft(team, "job", "bob")
        team.propose("job", STEP.format("one") + STEP.format("two"))
        forge(team, "job", record, key="bob")
        assert states(diff(team)) == {"one": "unchanged", "two": "not_approved"}

    def test_a_version_that_is_not_in_the_history_any_more(self, team: Team) -> None:
        """After a squash the digests still tell which steps are covered."""
        approved(team, READ + EDIT)
        team.propose("job", READ + CHANGED)
        tree, base = team.git("rev-parse", "plan/job^{tree}"), team.git("rev-parse", "main")
        squashed = team.git("commit-tree", tree, "-p", base, "-m", "Squash")
        team.git("update-ref", "refs/heads/plan/job", squashed)
        team.git("update-ref", "-d", "refs/planlock/seen/plan/job")
        found = diff(team)
        assert (found["then"], states(found)) == ("", {"read": "unchanged", "edit": "unknown"})
        assert step(found, "edit")["view"]["diff"]
        assert "then     not here any more" in text(team)

    def test_a_record_in_anothers_name_is_no_approval(self, team: Team) -> None:
        """What cleo signs in bob's name says nothing about what bob has read."""
        team.propose("job", EDIT)
        forge(team, "job", draft(team, "job", "bob"), key="cleo")
        assert team.cli("bob", "diff", "job").code == 3

    def test_unreadable_versions_between_are_passed_over(self, team: Team) -> None:
        """Nobody can have approved a file that is no plan."""
        team.propose("job", READ)
        digest = plan_of(team, "job").digest
        commit_on(team, "plan/job", {PLAN: b"&x"})
        commit_on(team, "plan/job", {PLAN: based(team, EDIT)})
        assert diff(team, "bob", "--since", digest)["then"] == digest

    def test_a_plan_without_a_base_has_no_versions(self, team: Team) -> None:
        """It lies on the trusted branch, and nobody has proposed it."""
        path = team.plan("job", READ)
        team.commit({PLAN: path.read_text()}, "Keep the plan")
        digest = team.cli("bob", "show", "job", "--json").json["digest"]
        assert team.cli("bob", "diff", "job", "--since", digest).code == 3
        assert team.cli("bob", "diff", "job").code == 3


def test_E01_control_characters_are_shown_escaped(team: Team) -> None:
    """What a file held and holds no more is a stranger's text too."""
    team.commit({"utils.py": UTILS + "# \x1b[2J\u202e\n"}, "Escapes")
    approved(team, SWAP)
    team.propose("job", SWAP[: SWAP.index("edits")] + "delete: true}}\n")
    shown = text(team)
    assert "\\x1b[2J\\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
