from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forging import codes, run_codes
from ssh_keys import SK_ED25519, agent, soft_key
from tampering import findings
from team import EDIT, Team
from whoami_cases import at_home, keep_only, known, line, program, public, whoami


class TestPrivateHalf:
    def test_a_key_without_it_approves_nothing(self, team: Team) -> None:
        """Whose the key is gets told, with exit 4 and where the private half was looked for."""
        key = team.key("bob")
        key.unlink()
        done = whoami(team, "bob")
        assert (done.code, done.json["principal"]) == (4, "bob@example.com")
        assert [each["code"] for each in done.json["reasons"]] == ["key_not_usable"]
        said = team.cli("bob", "whoami").out
        assert f"the private half of {key} is neither beside it nor in an agent" in said
        assert "ssh-add" in said
        assert "export PLANLOCK_KEY=FILE" in said
        assert "would count." not in said
        team.propose("job", EDIT)
        assert team.cli("bob", "approve", "job").code == 5

    def test_public_text_where_the_private_half_belongs(self, team: Team) -> None:
        """A file is not taken for a private key because of its name."""
        team.key("bob").write_text(public(team, "bob"))
        assert codes(whoami(team, "bob")) == ["key_not_usable"]

    @pytest.mark.parametrize("listed", [True, False])
    def test_an_agent_that_has_it(
        self,
        team: Team,
        listed: bool,  # noqa: FBT001 - pytest passes by name
    ) -> None:
        """A key in text or a public file alone counts if the agent lists exactly that key."""
        key, other = soft_key("ssh-rsa", 5), soft_key("ssh-rsa", 6)
        keep_only(team, line(key.text))
        file = team.base / "agents.pub"
        file.write_text(key.text)
        held = key if listed else other
        with agent(team.base / "agent", (held.blob, held.sign)) as there:
            for named in (f"key::{key.text}", str(file)):
                done = whoami(team, "bob", PLANLOCK_KEY=named, **there)
                assert codes(done) == ([] if listed else ["key_not_usable"])
                assert done.code == (0 if listed else 4)

    def test_an_agent_that_is_gone(self, team: Team) -> None:
        """A key in text alone is told to be in no agent, with the setting to change."""
        team.git("config", "user.signingkey", f"key::{public(team, 'bob')}")
        env = {"PLANLOCK_KEY": "", "SSH_AUTH_SOCK": str(team.base / "nobody-listens")}
        reason = whoami(team, "bob", **env).json["reasons"][0]
        assert reason["code"] == "key_not_usable"
        assert reason["message"].endswith(" is in no agent")
        assert "git config user.signingkey FILE" in reason["fix"]

    def test_a_fido_key_is_reached_through_its_handle(self, team: Team) -> None:
        """A FIDO key counts with the file of its handle, and not without."""
        key = soft_key(SK_ED25519, 5)
        keep_only(team, line(key.text))
        path = at_home(team, "bob", "id_ed25519_sk", key_type=SK_ED25519)
        assert codes(whoami(team, "bob", PLANLOCK_KEY="")) == ["key_not_usable"]
        path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        assert known(team, "bob", PLANLOCK_KEY="")["assurance"] == "hardware"

    def test_another_program_knows_where_it_is(self, team: Team) -> None:
        """A program of `gpg.ssh.program` may hold keys that no file and no agent has."""
        own = program(team.base / "own", "exit 1")
        Path(team.environment("bob")["HOME"], ".gitconfig").write_text(
            f'[gpg "ssh"]\n\tprogram = {own}\n'
        )
        assert known(team, "bob", PLANLOCK_KEY=public(team, "bob"))["assurance"] == "key"


class TestHardware:
    @pytest.fixture
    def reached(self, team: Team) -> Iterator[dict[str, str]]:
        """Bob's key is a FIDO key that an agent reaches."""
        key = soft_key(SK_ED25519)
        keep_only(
            team,
            line(public(team, "ada"), who="ada@example.com"),
            line(key.text),
            line(public(team, "cleo"), who="cleo@example.com"),
        )
        rule = '{name: hard, match: {path: "**"}, approvals: 1, assurance: hardware}'
        team.policy("rules: []", f"rules: [{rule}]")
        with agent(team.base / "agent", (key.blob, key.sign)) as there:
            yield {"PATH": os.environ["PATH"], "PLANLOCK_KEY": key.text, **there}

    def test_A41_a_touched_key_meets_a_rule_for_hardware(
        self, team: Team, reached: dict[str, str]
    ) -> None:
        """The approval counts, the run uses it, and the audit finds nothing."""
        team.propose("job", EDIT)
        assert known(team, "bob", **reached)["assurance"] == "hardware"
        assert run_codes(team, "job") == ["approvals_missing"]
        done = team.cli("bob", "approve", "job", "--json", env=reached)
        assert done.code == 0, done.text
        assert team.cli("ada", "run", "job").code == 0
        assert findings(team) == {}
