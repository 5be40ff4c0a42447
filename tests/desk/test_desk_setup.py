from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from actions_act import workflow_files
from desk import Desk, desk
from team import UTILS, Result

WELL: dict[str, Any] = {
    "rules/branches/main": [
        {"type": "pull_request", "parameters": {"require_code_owner_review": True}},
        {"type": "non_fast_forward"},
        {"type": "deletion"},
    ],
    "rules/branches/planlock%2Fdoctor%2F1": [{"type": "non_fast_forward"}, {"type": "deletion"}],
    "actions/permissions/workflow": {
        "default_workflow_permissions": "read",
        "can_approve_pull_request_reviews": True,
    },
    "environments/planlock": {
        "name": "planlock",
        "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
    },
    "environments/planlock/deployment-branch-policies": {"branch_policies": [{"name": "main"}]},
    "environments/planlock/secrets": {"secrets": [{"name": "PLANLOCK_RUNNER_KEY"}]},
    "actions/secrets": {"secrets": []},
    "actions/organization-secrets": {"secrets": []},
}

OWNERS = "/plans/policy.yaml @ada\n/plans/allowed_signers @ada\n/.github/ @bob\n"


def rules(*kinds: str) -> list[dict[str, Any]]:
    """Such rules, and none besides, on a branch whose code owners are asked."""
    return [{"type": each, "parameters": {"require_code_owner_review": True}} for each in kinds]


def doctor(team: Desk) -> Result:
    env = {**team.environment(), "GITHUB_TOKEN": "simulated-ada"}
    return team.team.cli("ada", "doctor", "--github", "--json", env=env)


def statuses(done: Result) -> dict[str, str]:
    return {each["name"]: each["status"] for each in done.json["checks"]}


@pytest.fixture
def ready(tmp_path: Path) -> Any:
    """A repository with the workflows on its trusted branch, and GitHub set up as told."""
    files = {**workflow_files(), "CODEOWNERS": OWNERS, "utils.py": UTILS}
    with desk(tmp_path, files=files) as team:
        team.forge.settings(**WELL)
        yield team


class TestInit:
    def test_it_writes_what_a_desk_needs(self, team: Desk) -> None:
        """The same files as planlock's own repository, scripts as programs; and says what to set."""
        done = team.team.cli("ada", "init", "--github")
        assert done.code == 0, done.text
        for name, text in workflow_files().items():
            if "planlock" in name:
                assert (team.team.root / name).read_text() == text
                assert f"wrote {name}" in done.out
        script = team.team.root / ".github/actions/planlock/execute/run.sh"
        assert script.stat().st_mode & 0o111
        assert "gh secret set PLANLOCK_RUNNER_KEY --env planlock" in done.out
        assert "planlock doctor --github" in done.out

    def test_it_changes_nothing_that_is_there(self, team: Desk) -> None:
        """A second time it writes nothing, and tells of what people changed."""
        team.team.cli("ada", "init", "--github")
        path = team.team.root / ".github/workflows/planlock-execute.yml"
        path.write_text(path.read_text().replace("120", "30"))
        done = team.team.cli("ada", "init", "--github")
        assert "wrote .github" not in done.out
        assert "kept  .github/workflows/planlock-execute.yml, which is not" in done.out
        assert "30" in path.read_text()

    def test_the_package_brings_the_files(self, tmp_path: Path) -> None:
        """What is built has them where they are looked for."""
        import subprocess
        import sys
        import zipfile

        root = Path(__file__).parents[2]
        words = ["wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), str(root)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
        )
        if "hatchling" in done.stderr:
            words.remove("--no-build-isolation")
            subprocess.run([sys.executable, "-m", "pip", *words], check=True)
        (wheel,) = tmp_path.glob("*.whl")
        names = {
            each.removeprefix("runner/github_shipped/")
            for each in zipfile.ZipFile(wheel).namelist()
        }
        ours = {each.removeprefix(".github/") for each in workflow_files() if "planlock" in each}
        assert ours <= names


class TestDoctor:
    def test_all_is_well(self, ready: Desk) -> None:
        """Each part is looked at, and none is amiss."""
        done = doctor(ready)
        assert done.code == 0, done.out
        assert set(statuses(done).values()) == {"ok"}
        assert len(statuses(done)) == 11

    @pytest.mark.parametrize(
        "settings,name,status",
        [
            ({"default_branch": "dev"}, "default branch", "fail"),
            ({"rules/branches/main": rules("pull_request")}, "rules", "fail"),
            ({"rules/branches/main": rules("pull_request", "deletion")}, "rules", "fail"),
            (
                {
                    "rules/branches/main": [
                        *WELL["rules/branches/main"][1:],
                        {"type": "pull_request"},
                    ]
                },
                "code owners",
                "warn",
            ),
            ({"rules/branches/planlock%2Fdoctor%2F1": []}, "rules of runs", "warn"),
            (
                {"actions/permissions/workflow": {"default_workflow_permissions": "write"}},
                "token permissions",
                "fail",
            ),
            (
                {"actions/permissions/workflow": {"default_workflow_permissions": "read"}},
                "token permissions",
                "warn",
            ),
            ({"environments/planlock": {"name": "planlock"}}, "environment", "fail"),
            ({"environments/planlock": None}, "environment", "fail"),
            (
                {
                    "environments/planlock/deployment-branch-policies": {
                        "branch_policies": [{"name": "main"}, {"name": "*"}]
                    }
                },
                "environment",
                "fail",
            ),
            (
                {"actions/organization-secrets": {"secrets": [{"name": "PLANLOCK_RUNNER_KEY"}]}},
                "runner's key",
                "fail",
            ),
            ({"environments/planlock/secrets": {"secrets": []}}, "runner's key", "fail"),
            (
                {"actions/secrets": {"secrets": [{"name": "PLANLOCK_RUNNER_KEY"}]}},
                "runner's key",
                "fail",
            ),
        ],
    )
    def test_what_is_amiss_is_told(
        self, ready: Desk, settings: dict[str, Any], name: str, status: str
    ) -> None:
        """Each setting by itself, with what to do."""
        ready.forge.settings(**settings)
        done = doctor(ready)
        found = {each["name"]: each for each in done.json["checks"]}
        assert found[name]["status"] == status
        assert found[name]["fixes"]
        assert done.code == (1 if status == "fail" else 0)
        assert {each for each, found_status in statuses(done).items() if found_status != "ok"} == {
            name
        }

    def test_a_classic_protection_counts_too(self, ready: Desk) -> None:
        """Rulesets are the newer way, not the only one."""
        protection = {
            "required_pull_request_reviews": {"require_code_owner_reviews": True},
            "allow_force_pushes": {"enabled": False},
            "allow_deletions": {"enabled": False},
        }
        ready.forge.settings(**{"rules/branches/main": [], "branches/main/protection": protection})
        found = statuses(doctor(ready))
        assert (found["rules"], found["code owners"]) == ("ok", "ok")

    def test_owners_of_something_else_do_not_count(self, ready: Desk) -> None:
        """Whoever changes the policy or the workflows has to ask somebody."""
        ready.team.commit({"CODEOWNERS": "/src/ @ada\n"}, "Own less")
        ready.push("main")
        assert statuses(doctor(ready))["code owners"] == "warn"

    @pytest.mark.parametrize(
        "told,words",
        [
            ({"GITHUB_TOKEN": "unknown"}, "Bad credentials"),
            ({"PLANLOCK_FORGE": "acme/nothing"}, "shows no repository acme/nothing"),
            ({"GITHUB_API_URL": "http://127.0.0.1:9"}, "refused"),
        ],
    )
    def test_what_cannot_be_asked_is_told_once(
        self, ready: Desk, told: dict[str, str], words: str
    ) -> None:
        """And what lies in the repository is looked at all the same."""
        env = {**ready.environment(), "GITHUB_TOKEN": "simulated-ada", **told}
        done = ready.team.cli("ada", "doctor", "--github", "--json", env=env)
        assert done.code == 1
        found = {each["name"]: each for each in done.json["checks"]}
        assert words in found["GitHub"]["message"]
        assert found["workflows"]["status"] == "ok"
        assert "rules" not in found

    def test_what_the_token_may_not_see_is_a_warning(self, ready: Desk) -> None:
        """It says so, and goes on."""
        ready.forge.fail("GET .*/environments/planlock$", times=9, status=403)
        found = statuses(doctor(ready))
        assert found["environment"] == "warn"
        assert found["rules"] == "ok"

    def test_workflows_that_are_missing_or_loose(self, team: Desk) -> None:
        """Without our files, and with an action that is named by a tag."""
        team.forge.settings(**WELL)
        text = "on: push\njobs: {x: {steps: [\n  {uses: a/b@v1},\n  ]}}\nuses: a/b@v1\n"
        team.team.commit({".github/workflows/x.yml": text}, "Loose")
        team.push("main")
        found = statuses(doctor(team))
        assert found["workflows"] == "fail"
        assert found["pinned actions"] == "fail"

    def test_a_policy_that_knows_no_accounts(self, ready: Desk) -> None:
        """Then no review counts."""
        path = ready.team.root / "plans/policy.yaml"
        text = "\n".join(
            line.split(", github:")[0] + ("}" if ", github:" in line else "")
            for line in path.read_text().splitlines()
        )
        ready.team.commit({"plans/policy.yaml": text + "\n"}, "Forget accounts")
        ready.push("main")
        assert statuses(doctor(ready))["people"] == "fail"

    def test_without_a_token_it_says_so(self, team: Desk) -> None:
        """Nothing can be asked, and that is the answer."""
        done = team.team.cli("ada", "doctor", "--github", env={"PLANLOCK_FORGE": "acme/shop"})
        assert done.code == 2
        assert "there is no token" in done.err
