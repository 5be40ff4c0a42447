"""`planlock audit` on policy and keys: who signed each change, and stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from authority import (
    AS_PERSON,
    KEYS,
    NOBODY,
    POLICY,
    as_signer,
    changes,
    edit,
    last,
    limit,
    notes,
    save,
    save_unsigned,
    side_branch,
    words,
)
from tampering import Forger, copy, forging
from team import Team

PGP = b"-----BEGIN PGP SIGNATURE-----\n\nwsBc\n-----END PGP SIGNATURE-----\n"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team.governed(tmp_path_factory.mktemp("governed"), "bob", "cleo")


@pytest.fixture
def team(ready: Team, tmp_path: Path) -> Team:
    return copy(ready, tmp_path)


@pytest.fixture
def forger(team: Team) -> Iterator[Forger]:
    with forging(team) as found:
        yield found


class TestWhoApproved:
    def test_unsigned_change_by_an_outsider(self, team: Team) -> None:
        """A push that allows self-approval is shown in words that nobody can overlook."""
        edit(team, "self_approval: false", "self_approval: true")
        commit = save_unsigned(team, "mallory")
        change = last(team)
        assert change["account"] == f"{NOBODY}unsigned"
        assert (change["signed_by"], change["stood_by"], change["doubtful"]) == (None, [], True)
        assert words(change) == {"self_approval: false -> true": True}
        assert notes(team) == [f"policy or keys loosened in {commit[:12]}, {NOBODY}unsigned"]

    def test_nobody_lets_themselves_in(self, team: Team) -> None:
        """A key that the change itself lists proves nothing."""
        key = f"{team.key('mallory')}.pub"
        done = team.cli("ada", "people", "add", "mallory@example.com", "--key", key, "--json")
        team.git("add", "plans")
        save(team, "mallory")
        print_ = done.json["fingerprint"]
        assert last(team)["account"] == (
            f"{NOBODY}signed, not counted: key {print_} is not listed in {KEYS}"
        )

    def test_runner_is_no_person(self, team: Team, forger: Forger) -> None:
        """A key that is listed for a machine approves nothing."""
        text = forger.read("main", POLICY).replace(b"7d", b"9d")
        forger.append("main", {POLICY: text}, key=forger.runner_key)
        change = last(team)
        assert change["account"] == (
            "approved by nobody: signed by runner@planlock, no person of the policy before it"
        )
        assert (change["signed_by"], change["stood_by"]) == ("runner@planlock", [])

    def test_person_added_by_their_own_change_is_none_before(self, team: Team) -> None:
        """Who signs must have been among the people before, too."""
        edit(team, "  - {principal: cleo@example.com, roles: [maintainer]}\n", "")
        save(team, "ada")
        team.git("revert", "--no-commit", "HEAD")
        save(team, "cleo")
        change = last(team)
        assert change["account"] == (
            "approved by nobody: signed by cleo@example.com, no person of the policy before it"
        )

    def test_broken_signature(self, team: Team, forger: Forger) -> None:
        """A signature over other bytes says so."""
        edit(team, "7d", "8d")
        tip = save(team, "bob")
        commit = forger.store.read(tip)[2].replace(b"Change", b"Charge")
        forger.point("refs/heads/main", forger.store.write("commit", commit))
        assert last(team)["account"].startswith(f"{NOBODY}its signature is not valid: ")

    def test_signature_of_a_forge(self, team: Team, forger: Forger) -> None:
        """A signature that is not of SSH, such as a forge makes, tells nothing of a person."""
        edit(team, "7d", "8d")
        tip = save_unsigned(team, "ada")
        header = b"\ngpgsig " + PGP.rstrip().replace(b"\n", b"\n ")
        head, _, message = forger.store.read(tip)[2].partition(b"\n\n")
        signed = forger.store.write("commit", head + header + b"\n\n" + message)
        forger.point("refs/heads/main", signed)
        assert last(team)["account"] == f"{NOBODY}signed otherwise than with an SSH key"

    def test_commit_without_a_date(self, team: Team, forger: Forger) -> None:
        """A commit that says no time is judged no earlier than the change before it."""
        edit(team, "7d", "8d")
        raw = forger.store.read(save_unsigned(team, "ada"))[2]
        head, _, rest = raw.partition(b"\ncommitter ")
        bad = head + b"\ncommitter ada <ada@example.com> 99999999999999999999 +0000\n"
        forger.point("refs/heads/main", forger.store.write("commit", bad + rest.split(b"\n", 1)[1]))
        assert (last(team)["date"], words(last(team))) == (
            "",
            {"approvals_expire_after: 7d -> 8d": True},
        )
        assert "  no date  " in team.cli("ada", "audit").out


class TestRevokedKeys:
    def test_revoked_by_date(self, team: Team) -> None:
        """The key, its owner and the date are told; limiting a key does not loosen."""
        limit(team, "bob", 'valid-before="20250101Z"')
        save(team, "ada")
        [(what, loosens)] = words(last(team)).items()
        assert what.startswith("revoked key SHA256:")
        assert what.endswith(
            " of bob@example.com: for git planlock-approval"
            " -> for git planlock-approval, revoked since 2025-01-01T00:00:00Z"
        )
        assert not loosens

    def test_an_early_date_does_not_bring_a_key_back(self, team: Team) -> None:
        """A commit after the revocation is no older than it, whatever it says of itself."""
        limit(team, "bob", 'valid-before="20250101Z"')
        save(team, "ada")
        edit(team, "self_approval: false", "self_approval: true")
        save(team, "bob", date="2024-06-01T00:00:00Z")
        change = last(team)
        assert change["date"] == "2024-06-01T00:00:00Z"
        assert change["account"].startswith(f"{NOBODY}signed, not counted: key SHA256:")
        assert (
            "listed for bob@example.com but valid until 2025-01-01T00:00:00Z" in (change["account"])
        )

    def test_what_a_key_approved_that_was_revoked_later(self, team: Team) -> None:
        """The keys before it knew the key, and today's tell that it was out of hand by then."""
        edit(team, "7d", "8d")
        commit = save(team, "bob")
        limit(team, "bob", 'valid-before="20250101Z"')
        save(team, "ada")
        change = changes(team)[1]
        assert (change["signed_by"], change["stood_by"]) == ("bob@example.com", [])
        assert change["doubtful"]
        assert change["account"].startswith(
            f"signed by bob@example.com {AS_PERSON}, which the keys of today do not count: key "
        )
        [note] = notes(team)
        assert note.startswith(f"policy or keys loosened in {commit[:12]}, signed by bob")

    def test_a_removed_key_casts_no_doubt(self, team: Team) -> None:
        """Who has left had approved what they approved."""
        edit(team, "7d", "8d")
        save(team, "bob")
        kept = (team.root / KEYS).read_text().splitlines(keepends=True)
        text = "".join(line for line in kept if not line.startswith("bob@"))
        (team.root / KEYS).write_text(text)
        edit(team, "  - {principal: bob@example.com, roles: [maintainer]}\n", "")
        team.git("add", "plans")
        save(team, "ada")
        newest, before, _ = changes(team)
        assert [each.split(" ")[0] for each in words(newest)] == ["removed", "removed"]
        assert before["account"] == f"signed by bob@example.com {AS_PERSON}"
        assert (before["stood_by"], before["doubtful"]) == (["bob@example.com"], False)


class TestMerges:
    def test_merge_of_a_branch(self, team: Team) -> None:
        """Ada merges what bob wrote: both stand behind it, and his commit is told beside."""
        made = side_branch(team, "bob")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        newest, *others = changes(team)
        assert newest["account"] == (
            "merged by ada@example.com, who signed; written by bob@example.com (signed)"
        )
        assert newest["stood_by"] == ["ada@example.com", "bob@example.com"]
        assert (newest["doubtful"], newest["alone"], notes(team)) == (False, False, [])
        assert [(each["commit"], each["signature"]) for each in newest["merged"]] == [
            (made, "signed by bob@example.com")
        ]
        assert words(newest) == {"approvals_expire_after: 7d -> 30d": True}
        assert len(others) == 1

    @pytest.mark.parametrize("who", ["ada", "mallory"])
    def test_who_merges_what_no_other_signed_is_alone(self, team: Team, who: str) -> None:
        """A merge of one's own commit, or of nobody's, has one person behind it, and is noted."""
        side_branch(team, who)
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        change = last(team)
        assert (change["stood_by"], change["doubtful"]) == (["ada@example.com"], False)
        [note] = notes(team)
        assert note.endswith(": loosens, and only ada@example.com stands behind it")

    def test_a_second_person_behind_a_part_alone(self, team: Team) -> None:
        """Bob's commit on the same branch does not make him stand behind ada's."""
        side_branch(team, "ada")
        team.git("checkout", "-q", "side")
        edit(team, "# Who must", "# Who surely must")
        save(team, "bob")
        team.git("checkout", "-q", "main")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        change = last(team)
        assert change["stood_by"] == ["ada@example.com", "bob@example.com"]
        [note] = notes(team)
        assert note.endswith(": loosens, and only ada@example.com stands behind some of it")

    def test_tightening_alone_is_not_noted(self, team: Team) -> None:
        """Whoever asks for more needs no second person."""
        edit(team, "7d", "5d")
        save(team, "ada")
        assert (last(team)["alone"], notes(team)) == (False, [])

    def test_unsigned_merge_of_signed_commits(self, team: Team) -> None:
        """Who wrote a change did not thereby decide that it is merged."""
        side_branch(team, "bob")
        team.git("merge", "-q", "--no-ff", "-m", "Merge", "side", who="mallory")
        change = last(team)
        assert change["account"] == f"{NOBODY}unsigned; written by bob@example.com (signed)"
        assert (change["signed_by"], change["stood_by"]) == (None, ["bob@example.com"])
        assert change["doubtful"]
        assert [each["signed_by"] for each in change["merged"]] == ["bob@example.com"]

    def test_each_commit_that_came_along(self, team: Team) -> None:
        """All that touched the files are told, newest first, each with its signer or without."""
        side_branch(team, "bob")
        team.git("checkout", "-q", "side")
        edit(team, "30d", "20d")
        save_unsigned(team, "mallory")
        edit(team, "20d", "10d")
        save(team, "mallory")
        team.commit({"other.txt": "x\n"}, "Something else")
        team.git("checkout", "-q", "main")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        told = [each["signature"].split(":")[0] for each in last(team)["merged"]]
        assert told == ["signed, not counted", "unsigned", "signed by bob@example.com"]

    def test_commits_of_two_branches_come_in_order(self, team: Team) -> None:
        """Whichever way they came, a commit stands before those that it was made upon."""
        made = side_branch(team, "bob")
        team.git("checkout", "-q", "-b", "second", "side")
        edit(team, "# Whose key", "# Which key", path=KEYS)
        save(team, "cleo")
        team.git("checkout", "-q", "side")
        edit(team, "30d", "20d")
        save(team, "bob")
        team.git("merge", "-q", "--no-ff", "-m", "Join", "second")
        joined = team.git("rev-parse", "HEAD")
        team.git("checkout", "-q", "main")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        told = [each["commit"] for each in last(team)["merged"]]
        assert (len(told), told[0], told[-1]) == (4, joined, made)

    def test_branch_that_had_merged_main(self, team: Team) -> None:
        """What a branch took over from main, and main had told already, is not told again."""
        made = side_branch(team, "bob")
        edit(team, "self_approval: false", "self_approval: true")
        save(team, "cleo")
        team.git("checkout", "-q", "side")
        team.git("merge", "-q", "-m", "Update", "main")
        update = team.git("rev-parse", "HEAD")
        team.git("checkout", "-q", "main")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-S", "-m", "Merge", "side")
        change = last(team)
        assert [each["commit"] for each in change["merged"]] == [update, made]
        assert words(change) == {"approvals_expire_after: 7d -> 30d": True}

    def test_merge_that_writes_itself(self, team: Team) -> None:
        """A policy that none of the merged commits has is pointed out."""
        side_branch(team, "bob")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "--no-commit", "side")
        edit(team, "self_approval: false", "self_approval: true")
        save(team, "ada")
        assert words(last(team)) == {
            "self_approval: false -> true": True,
            "approvals_expire_after: 7d -> 30d": True,
            f"{POLICY} is as in none of the commits that were merged": False,
        }

    def test_merge_that_changes_nothing(self, team: Team) -> None:
        """A merge that keeps main's policy and keys is no change."""
        side_branch(team, "bob")
        as_signer(team, "ada", "merge", "-q", "--no-ff", "-s", "ours", "-m", "Merge", "side")
        assert len(changes(team)) == 1
