from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from forging import codes
from ssh_keys import SK_ED25519, Certifying, certified, soft_key, text_of
from team import EDIT, Team
from whoami_cases import at_home, keep_only, known, line, program, public, whoami

AUTHORITY = soft_key("ssh-ed25519", 2)


def fingerprint(path: Path) -> str:
    done = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True)
    return done.stdout.decode().split()[1]


class TestWhoami:
    def test_tells_who_an_approval_would_be_by(self, team: Team) -> None:
        """Person, roles, key, where it was found, what it is worth and what is trusted."""
        found = known(team, "bob")
        assert found["principal"] == "bob@example.com"
        assert found["roles"] == ["maintainer"]
        assert found["assurance"] == "key"
        assert found["signs_plans"] is True
        assert found["fingerprint"] == fingerprint(team.key("bob"))
        assert found["key_type"] == "ssh-ed25519"
        assert (found["named_by"], found["key"]) == ("PLANLOCK_KEY", str(team.key("bob")))
        assert found["trusted_ref"] == "refs/heads/main"
        assert found["commit"] == team.git("rev-parse", "main")
        assert [each["namespaces"] for each in found["listed"]] == [["git", "planlock-approval"]]
        assert (found["reasons"], found["ignored"], found["certificate"]) == ([], [], None)

    def test_text_for_people_says_the_same(self, team: Team) -> None:
        """Each fact has a line, and the last tells whether an approval would count."""
        done = team.cli("bob", "whoami")
        assert done.code == 0
        for words in (
            "bob@example.com (maintainer)",
            f"{fingerprint(team.key('bob'))} ssh-ed25519",
            f"PLANLOCK_KEY: {team.key('bob')}",
            "bob@example.com: git, planlock-approval",
            "assurance key",
            "may sign them",
            "refs/heads/main@",
            "An approval would count.",
        ):
            assert words in done.out

    def test_signs_nothing(self, team: Team) -> None:
        """A key that needs a passphrase is not asked for it."""
        key = str(team.key("bob"))
        argv = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        assert known(team, "bob")["principal"] == "bob@example.com"

    def test_a_stranger_is_told_how_to_become_known(self, team: Team) -> None:
        """Exit 4 with the reason, and still what is known of the key."""
        done = whoami(team, "eve")
        assert (done.code, [each["code"] for each in done.json["reasons"]]) == (
            4,
            ["key_not_listed"],
        )
        assert done.json["fingerprint"] == fingerprint(team.key("eve"))
        assert (done.json["principal"], done.json["assurance"]) == (None, None)
        said = team.cli("eve", "whoami")
        assert said.code == 4
        assert "nobody known here" in said.out
        assert "planlock people add NAME --key FILE" in said.out

    def test_who_is_no_person_of_the_policy_may_not_approve(self, team: Team) -> None:
        """A listed key of nobody in the policy tells its principal, and exits 4."""
        keep_only(team, line(public(team, "dan"), who="dan@example.com"))
        done = whoami(team, "dan")
        assert (done.code, done.json["principal"]) == (4, "dan@example.com")
        assert [each["code"] for each in done.json["reasons"]] == ["not_a_person"]
        assert done.json["signs_plans"] is False

    def test_A21_a_key_out_of_its_time(self, team: Team) -> None:
        """An ended key is still told to be its person's, with the time that ended it."""
        keep_only(team, line(public(team, "bob"), options='valid-before="20200101Z",'))
        done = whoami(team, "bob")
        assert (done.code, done.json["principal"]) == (4, "bob@example.com")
        assert [each["code"] for each in done.json["reasons"]] == ["key_not_valid"]
        assert done.json["listed"][0]["window"] == "valid until 2020-01-01T00:00:00Z"
        team.propose("job", EDIT)
        assert codes(team.cli("bob", "approve", "job", "--json")) == ["key_not_valid"]

    def test_a_key_for_commits_alone(self, team: Team) -> None:
        """Who may sign plans but not approve is told both."""
        keep_only(team, f'bob@example.com namespaces="git" {public(team, "bob")}')
        done = whoami(team, "bob")
        assert done.code == 4
        assert done.json["signs_plans"] is True
        assert [each["code"] for each in done.json["reasons"]] == ["key_not_listed"]

    def test_without_a_key(self, team: Team) -> None:
        """Where no key is found, the first place looked at is named, and how to make one."""
        done = whoami(team, "bob", PLANLOCK_KEY="")
        assert done.code == 3
        assert "id_ed25519 does not exist" in done.json["error"]["message"]
        assert done.json["error"]["hint"] == "planlock key new"

    def test_a_setting_that_names_no_file(self, team: Team) -> None:
        """The hint is about the setting, which a new key elsewhere would leave as it is."""
        error = whoami(team, "bob", PLANLOCK_KEY="/nowhere/key").json["error"]
        assert "PLANLOCK_KEY names /nowhere/key, which does not exist" in error["message"]
        assert error["hint"] == "export PLANLOCK_KEY=FILE, or unset it"
        for name in ("user.signingkey", "planlock.key"):
            team.git("config", name, "/nowhere/key")
            error = whoami(team, "bob", PLANLOCK_KEY="").json["error"]
            assert f"{name} names /nowhere/key, which does not exist" in error["message"]
            command, _, look = error["hint"].partition(", or see who sets it: ")
            assert command == f"git config {name} FILE"
            assert "/nowhere/key" in team.git(*look.split()[1:])

    def test_asks_the_home(self, team: Team, tmp_path: Path) -> None:
        """What counts is the trusted branch of the remote as it is now."""
        remote = tmp_path / "remote.git"
        team.git("clone", "-q", "--bare", str(team.root), str(remote))
        clone = tmp_path / "clone"
        team.git("clone", "-q", str(remote), str(clone))
        where = {"PLANLOCK_TRUSTED_REF": "refs/heads/main"}
        assert team.cli("bob", "whoami", "--json", cwd=clone, env=where).code == 0
        keep_only(team, line(public(team, "ada"), who="ada@example.com"))
        team.git("push", "-q", str(remote), "main")
        assert team.cli("bob", "whoami", "--json", cwd=clone, env=where).code == 4

    def test_E01_what_a_certificate_says_is_shown_escaped(self, team: Team, tmp_path: Path) -> None:
        """Control characters in a certificate do not reach the terminal."""
        what = Certifying(key_id=b"\x1b[2J\xe2\x80\xae", principals=[b"\x1b]0;x\x07"])
        path = tmp_path / "odd-cert.pub"
        path.write_text(text_of(certified(soft_key("ssh-ed25519"), AUTHORITY, what)))
        done = team.cli("bob", "whoami", env={"PLANLOCK_KEY": str(path)})
        assert done.code == 4
        assert not {"\x1b", "\x07", "\u202e"} & set(done.text)


class TestHowTheKeyIsFound:
    def test_git_names_the_key(self, team: Team) -> None:
        """`planlock.key` comes before `user.signingkey`, each from any of git's files."""
        other = str(team.key("cleo"))
        team.git("config", "user.signingkey", str(team.key("bob")))
        assert known(team, "bob", PLANLOCK_KEY="")["named_by"] == "user.signingkey"
        team.git("config", "planlock.key", other)
        found = known(team, "bob", PLANLOCK_KEY="")
        assert (found["named_by"], found["principal"]) == ("planlock.key", "cleo@example.com")
        assert known(team, "bob")["named_by"] == "PLANLOCK_KEY"

    def test_the_environment_of_git_names_the_key(self, team: Team) -> None:
        """`GIT_CONFIG_COUNT` and `GIT_CONFIG_GLOBAL` are read as git reads them."""
        env = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "user.signingKey",
            "GIT_CONFIG_VALUE_0": public(team, "bob"),
        }
        found = whoami(team, "eve", PLANLOCK_KEY="", **env).json
        assert (found["principal"], found["named_by"]) == ("bob@example.com", "user.signingkey")
        file = team.base / "config"
        file.write_text(f"[user]\n\tsigningKey = {team.key('cleo')}\n")
        found = known(team, "eve", PLANLOCK_KEY="", GIT_CONFIG_GLOBAL=str(file))
        assert found["principal"] == "cleo@example.com"

    @pytest.mark.parametrize("form", ["key::{0}", "{0}"])
    def test_a_key_in_text(self, team: Team, form: str) -> None:
        """A public key may stand in the setting itself; people see its ends, programs all of it."""
        text = form.format(public(team, "bob"))
        found = whoami(team, "bob", PLANLOCK_KEY=text).json
        assert (found["principal"], found["key"]) == ("bob@example.com", text)
        said = team.cli("bob", "whoami", env={"PLANLOCK_KEY": text}).out
        middle = public(team, "bob").split()[1]
        assert (
            f"{form.split('{', maxsplit=1)[0]}ssh-ed25519 {middle[:12]}…{middle[-12:]} bob" in said
        )
        assert middle not in said

    def test_a_relative_path(self, team: Team) -> None:
        """In git's files it begins at the work tree's top, in the environment at the folder."""
        inside = team.root / "sub"
        inside.mkdir()
        team.git("config", "user.signingkey", "../keys/bob")
        team.key("bob")
        done = team.cli("bob", "whoami", "--json", cwd=inside, env={"PLANLOCK_KEY": ""})
        assert done.json["principal"] == "bob@example.com"
        named = {"PLANLOCK_KEY": "../../keys/bob"}
        assert team.cli("bob", "whoami", "--json", cwd=inside, env=named).code == 0

    def test_a_path_under_home(self, team: Team) -> None:
        """`~/` is the home folder."""
        at_home(team, "bob", "mine")
        done = whoami(team, "bob", PLANLOCK_KEY="~/.ssh/mine")
        assert done.json["key"] == str(team.base / "home/bob/.ssh/mine")

    def test_the_id_of_a_pgp_key_is_no_ssh_key(self, team: Team) -> None:
        """Who signs commits with OpenPGP has another key here, unless `gpg.format` is ssh."""
        at_home(team, "bob", "id_ed25519")
        team.git("config", "user.signingkey", "3AA5C34371567BD2")
        assert whoami(team, "bob", PLANLOCK_KEY="").json["named_by"] == "default"
        team.git("config", "gpg.format", "ssh")
        done = whoami(team, "bob", PLANLOCK_KEY="")
        assert "user.signingkey names 3AA5C34371567BD2, which does not exist" in done.text

    def test_the_default_files_in_their_order(self, team: Team) -> None:
        """What `planlock key new` makes, then hardware, then what is left; public files suffice."""
        names = ["id_ed25519", "id_ed25519_sk", "id_ecdsa_sk", "id_ecdsa", "id_rsa"]
        for name in reversed(names):
            key_type = SK_ED25519 if name.endswith("sk") else "ssh-ed25519"
            path = at_home(team, "bob", name, key_type=key_type)
            found = whoami(team, "bob", PLANLOCK_KEY="").json
            assert (found["key"], found["named_by"]) == (str(path), "default")

    def test_the_default_key_command(self, team: Team) -> None:
        """The first line that a command of the user's own settings prints is the key."""
        at_home(team, "bob", "id_ed25519")
        command = program(team.base / "keys-of-bob", f"echo '{public(team, 'bob')}'; echo more")
        env = {
            "PLANLOCK_KEY": "",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "gpg.ssh.defaultKeyCommand",
            "GIT_CONFIG_VALUE_0": command,
        }
        found = whoami(team, "bob", **env).json
        assert found["named_by"] == "gpg.ssh.defaultKeyCommand"
        assert found["principal"] == "bob@example.com"
        program(team.base / "keys-of-bob", "echo sorry >&2; exit 1")
        done = whoami(team, "bob", **env)
        assert (done.code, done.json["error"]["code"]) == (5, "signing_failed")
        assert "sorry" in done.text

    @pytest.mark.parametrize("where", ["--local", "--worktree"])
    @pytest.mark.parametrize("name", ["gpg.ssh.program", "gpg.ssh.defaultKeyCommand"])
    def test_D13_programs_of_the_repository_are_not_started(
        self, team: Team, name: str, where: str
    ) -> None:
        """A repository's own setting names no program that runs; `whoami` tells of it."""
        team.git("config", "extensions.worktreeConfig", "true")
        ran = team.base / "ran"
        team.git("config", where, name, program(team.base / "evil", f"touch {ran}; exit 1"))
        at_home(team, "bob", "id_ed25519")
        assert whoami(team, "bob", PLANLOCK_KEY="").json["ignored"] == [name]
        assert f"{name} of this repository" in team.cli("bob", "whoami").out
        team.propose("job", EDIT)
        team.approve("bob", "job")
        assert not ran.exists()

    def test_the_users_own_program_signs(self, team: Team) -> None:
        """`gpg.ssh.program` of the user's files signs, even where the repository names another."""
        log = team.base / "log"
        text = f'echo "$@" >> {log}; exec ssh-keygen "$@"'
        own = program(team.base / "own", text)
        team.git("config", "gpg.ssh.program", program(team.base / "evil", "exit 1"))
        file = Path(team.environment("bob")["HOME"], ".gitconfig")
        file.write_text(f'[gpg "ssh"]\n\tprogram = {own}\n')
        team.propose("job", EDIT)
        team.approve("bob", "job")
        assert [words.split()[3] for words in log.read_text().splitlines()] == [
            "planlock-approval",
            "git",
        ]

    def test_an_allowed_signers_file_of_git_means_nothing(self, team: Team) -> None:
        """Neither git's file of allowed signers nor its revocations decide here."""
        file = team.base / "allowed"
        file.write_text(f"eve@example.com {public(team, 'eve')}\n")
        for name in ("gpg.ssh.allowedSignersFile", "gpg.ssh.revocationFile"):
            team.git("config", name, str(file))
        assert whoami(team, "eve").code == 4
        file.write_text(public(team, "bob"))
        assert known(team, "bob")["principal"] == "bob@example.com"

    def test_broken_settings_of_git_are_told(self, team: Team) -> None:
        """What git cannot read is an error with git's words."""
        file = team.base / "config"
        file.write_text("[user\n")
        done = whoami(team, "bob", GIT_CONFIG_GLOBAL=str(file))
        assert (done.code, done.json["error"]["code"]) == (5, "git_failed")
        assert "bad config line 1" in done.text
