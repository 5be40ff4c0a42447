from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from forging import codes, run_codes
from ssh_keys import Certifying, certified, soft_key, text_of
from tampering import findings
from team import EDIT, Team
from whoami_cases import SIGNERS, keep_only, known, line, public, whoami

AUTHORITY = soft_key("ssh-ed25519", 2)
AUTHORITY_LINE = line(AUTHORITY.text, who="*@example.com", options="cert-authority,")


def certify(team: Team, key: Path, *, window: str = "-1h:+1h") -> Path:
    """Give bob a certificate of a key by the authority for the domain; it lies beside the key."""
    authority = AUTHORITY.save(team.base / "authority")
    options = ["-I", "bob", "-n", "bob@example.com,root", "-V", window]
    argv = ["ssh-keygen", "-q", "-s", str(authority), *options, f"{key}.pub"]
    subprocess.run(argv, check=True)
    return key.with_name(f"{key.name}-cert.pub")


def trust(team: Team, *lines: str) -> None:
    """Commit ada's key and these lines."""
    keep_only(team, line(public(team, "ada"), who="ada@example.com"), *lines)


@pytest.fixture
def certificate(team: Team) -> Path:
    """Bob's certificate for an hour, by an authority that is trusted for the whole domain."""
    trust(team, AUTHORITY_LINE)
    return certify(team, team.key("bob"))


class TestNamed:
    def test_a_certificate_approves(self, team: Team, certificate: Path) -> None:
        """Its person approves with it, a run goes by it and the audit agrees."""
        env = {"PLANLOCK_KEY": str(certificate)}
        found = known(team, "bob", **env)
        assert (found["principal"], found["assurance"]) == ("bob@example.com", "key")
        assert found["certificate"]["principals"] == ["bob@example.com", "root"]
        assert found["listed"][0]["principal"] == "*@example.com"
        said = team.cli("bob", "whoami", env=env).out
        assert "certified 'bob', serial 0, valid from " in said
        team.propose("job", EDIT)
        done = team.cli("bob", "approve", "job", "--json", env=env)
        assert done.code == 0, done.text
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}

    def test_a_certificate_signs_plans(self, team: Team, certificate: Path) -> None:
        """Its person's plan counts as signed, and its person may not approve it."""
        env = {"PLANLOCK_KEY": str(certificate)}
        team.plan("job", EDIT)
        assert team.cli("bob", "propose", "job", env=env).code == 0
        assert codes(team.cli("bob", "approve", "job", "--json", env=env)) == ["self_approval"]
        team.approve("ada", "job")
        assert team.cli("ada", "run", "job").code == 0

    def test_the_bare_key_is_nobodys(self, team: Team, certificate: Path) -> None:
        """Where only the authority is listed, the key without its certificate does not count."""
        certificate.unlink()
        assert whoami(team, "bob").code == 4

    def test_A21_a_certificate_ends(self, team: Team, certificate: Path) -> None:
        """An approval by a certificate that was ended since does not count any more."""
        team.propose("job", EDIT)
        env = {"PLANLOCK_KEY": str(certificate)}
        assert team.cli("bob", "approve", "job", env=env).code == 0
        old = (team.root / SIGNERS).read_text()
        gone = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y%m%d%H%M%SZ")
        ended = line(public(team, "bob"), options=f'valid-before="{gone}",')
        team.commit({SIGNERS: f"{old}{ended}\n"}, "End bob's certificate")
        assert run_codes(team, "job") == ["approvals_missing", "key_not_valid"]
        assert whoami(team, "bob", **env).json["reasons"][0]["code"] == "key_not_valid"

    def test_git_names_the_certificate(self, team: Team, certificate: Path) -> None:
        """`user.signingkey` may name the certificate's file under `~`."""
        folder = Path(team.environment("bob")["HOME"], ".ssh")
        folder.mkdir()
        for name in ("", ".pub", "-cert.pub"):
            data = certificate.with_name(f"bob{name}").read_bytes()
            (folder / f"id_ed25519{name}").write_bytes(data)
        (folder / "id_ed25519").chmod(0o600)
        team.git("config", "user.signingkey", "~/.ssh/id_ed25519-cert.pub")
        found = known(team, "bob", PLANLOCK_KEY="")
        assert found["key"] == str(folder / "id_ed25519-cert.pub")
        assert (found["principal"], found["certificate"]["file"]) == ("bob@example.com", "")

    def test_it_is_not_listed_as_a_key(self, team: Team, certificate: Path) -> None:
        """`people add` refuses it with the whole line that lists its authority."""
        done = team.cli("ada", "people", "add", "bob@example.com", "--key", str(certificate))
        assert done.code == 2
        listing = '*@example.com cert-authority,namespaces="git,planlock-approval" '
        assert f"{listing}<the authority's public key>" in done.text


class TestBesideTheKey:
    @pytest.mark.parametrize("ending", ["", ".pub"])
    def test_it_counts_where_the_key_does_not(
        self, team: Team, certificate: Path, ending: str
    ) -> None:
        """The certificate beside a named key approves and signs plans, and the audit agrees."""
        env = {"PLANLOCK_KEY": f"{team.key('bob')}{ending}"}
        found = known(team, "bob", **env)
        assert (found["principal"], found["key"]) == ("bob@example.com", env["PLANLOCK_KEY"])
        assert found["certificate"]["file"] == str(certificate)
        assert str(certificate) in team.cli("bob", "whoami", env=env).out
        team.propose("job", EDIT)
        done = team.cli("bob", "approve", "job", "--json", env=env)
        assert done.code == 0, done.text
        team.plan("other", EDIT)
        assert team.cli("bob", "propose", "other", env=env).code == 0
        assert codes(team.cli("bob", "approve", "other", "--json", env=env)) == ["self_approval"]
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}

    def test_it_counts_beside_a_default_key(self, team: Team) -> None:
        """So does one beside a key that no setting names."""
        trust(team, AUTHORITY_LINE)
        folder = Path(team.environment("bob")["HOME"], ".ssh")
        folder.mkdir()
        certify(team, soft_key("ssh-ed25519", 5).save(folder / "id_ed25519"))
        found = known(team, "bob", PLANLOCK_KEY="")
        assert (found["principal"], found["named_by"]) == ("bob@example.com", "default")
        assert team.cli("bob", "review", "--json", env={"PLANLOCK_KEY": ""}).code == 0

    @pytest.mark.parametrize(
        "authority, window", [(True, "-1h:+1h"), (True, "-2h:-1h"), (False, "-1h:+1h")]
    )
    def test_a_key_that_counts_comes_first(
        self,
        team: Team,
        authority: bool,  # noqa: FBT001 - pytest passes by name
        window: str,
    ) -> None:
        """A listed key is shown bare, whether or not its certificate would count as well."""
        trust(team, line(public(team, "bob")), *([AUTHORITY_LINE] if authority else []))
        certify(team, team.key("bob"), window=window)
        found = known(team, "bob")
        assert (found["principal"], found["certificate"]) == ("bob@example.com", None)

    def test_a_key_for_commits_alone_gives_way(self, team: Team, certificate: Path) -> None:
        """A key that is listed for `git` only does not hide a certificate that approves."""
        assert certificate.exists()
        trust(team, AUTHORITY_LINE, f'bob@example.com namespaces="git" {public(team, "bob")}')
        assert known(team, "bob")["certificate"]["key_id"] == "bob"

    def test_where_neither_counts_the_nearer_tells_why(self, team: Team) -> None:
        """An ended certificate is told as such; one by a stranger leaves the key's own reason."""
        certify(team, team.key("bob"), window="-2h:-1h")
        trust(team, AUTHORITY_LINE)
        found = whoami(team, "bob").json
        assert [each["code"] for each in found["reasons"]] == ["key_not_valid"]
        assert found["certificate"]["key_id"] == "bob"
        trust(team)
        found = whoami(team, "bob").json
        assert [each["code"] for each in found["reasons"]] == ["key_not_listed"]
        assert found["certificate"] is None

    def test_one_that_is_not_of_the_key_is_passed_over(self, team: Team, certificate: Path) -> None:
        """A broken file, a bare key and a certificate of another key count for nothing there."""
        other = text_of(certified(soft_key("ssh-ed25519", 5), AUTHORITY, Certifying()))
        for text in ("ssh-ed25519-cert-v01@openssh.com AAAA", public(team, "bob"), other):
            certificate.write_text(text)
            done = whoami(team, "bob")
            assert (done.code, done.json["certificate"]) == (4, None)
            assert [each["code"] for each in done.json["reasons"]] == ["key_not_listed"]

    def test_the_home_as_it_is_now_decides(self, team: Team, tmp_path: Path) -> None:
        """A key that the remote stopped listing gives way to the certificate at once."""
        certify(team, team.key("bob"))
        remote, clone = tmp_path / "remote.git", tmp_path / "clone"
        team.git("clone", "-q", "--bare", str(team.root), str(remote))
        team.git("clone", "-q", str(remote), str(clone))
        where = {"PLANLOCK_TRUSTED_REF": "refs/heads/main"}
        before = team.cli("bob", "whoami", "--json", cwd=clone, env=where)
        assert (before.code, before.json["certificate"]) == (0, None)
        trust(team, AUTHORITY_LINE)
        team.git("push", "-q", str(remote), "main")
        after = team.cli("bob", "whoami", "--json", cwd=clone, env=where)
        assert (after.code, after.json["certificate"]["key_id"]) == (0, "bob")

    def test_init_lists_the_key_itself(self, tmp_path: Path) -> None:
        """Where nothing is governed yet, the founder's key is listed, not the certificate."""
        team = Team.start(tmp_path)
        certify(team, team.key("bob"))
        done = team.cli("bob", "init")
        assert done.code == 0, done.text
        assert " ".join(public(team, "bob").split()[:2]) in (team.root / SIGNERS).read_text()
