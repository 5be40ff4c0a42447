"""Which files are shown to the planner's model."""

from __future__ import annotations

import pytest

from runner.core import check_step, relevance

TEXTS = {
    "shop/cart.py": "class Cart:\n    def total(self): ...\n",
    "shop/mail.py": "def send_mail(to): ...\n",
    "shop/big.py": "cart = 1\n" * 3_000,
    "README.md": "# shop\nA tiny shop.\n",
}


def test_files_that_share_rare_words_with_the_goal_come_first() -> None:
    """Words of the path and parts of identifiers count."""
    assert relevance.rank("Send the mail later", TEXTS)[0] == "shop/mail.py"
    assert relevance.rank("Round the cart's total", TEXTS)[0] == "shop/cart.py"


def test_a_file_that_the_goal_names_comes_first() -> None:
    """By its path, or by its name alone, also at the end of a sentence."""
    assert relevance.rank("Fix shop/mail.py for carts", TEXTS)[0] == "shop/mail.py"
    assert relevance.rank("For carts, look at README.md.", TEXTS)[0] == "README.md"


def test_the_order_is_the_same_whatever_the_order_of_the_files() -> None:
    """The same project gives the same prompt anywhere."""
    backwards = dict(reversed(TEXTS.items()))
    assert relevance.rank("x", TEXTS) == relevance.rank("x", backwards)


def test_files_are_taken_while_they_fit() -> None:
    """What is asked for goes first; what does not fit is told."""
    ranked = relevance.rank("cart", TEXTS)
    choice = relevance.fit(ranked, TEXTS, first={"README.md"}, max_tokens=120)
    assert choice.paths[0] == "README.md"
    assert "shop/big.py" not in choice.paths
    assert [path for path, _ in choice.withheld] == ["shop/big.py"]


@pytest.mark.parametrize(
    "path, secret",
    [
        (".env", True),
        ("deploy/.env.production", True),
        (".env.example", False),
        ("keys/id_rsa", True),
        ("keys/id_ed25519.pub", True),
        ("tls/server.KEY", True),
        ("tls/server.pem", True),
        (".npmrc", True),
        ("config/secrets.yaml", True),
        ("aws/credentials", True),
        (".git-credentials", True),
        ("home/.docker/config.json", True),
        (".kube/config", True),
        ("infra/terraform.tfstate", True),
        ("infra/terraform.tfstate.backup", True),
        ("infra/prod.tfvars", True),
        ("infra/prod.auto.tfvars.json", True),
        (".envrc", True),
        ("deploy/prod.env", True),
        (".env-prod", True),
        (".pgpass", True),
        (".my.cnf", True),
        ("gcp/my-service-account-1.json", True),
        ("secrets/api.txt", True),
        (".vault_pass.txt", True),
        ("keys/server.ppk", True),
        (".env-sample", False),
        ("example.env", False),
        ("docs/config.json", False),
        ("src/environment.py", False),
        ("src/service_account.py", False),
        ("infra/main.tf", False),
        ("src/secretary.py", False),
        ("src/keys.py", False),
        ("docs/environment.md", False),
    ],
)
def test_names_of_secrets_are_known(path: str, secret: bool) -> None:  # noqa: FBT001  # a case
    """Files that hold secrets by their name are never candidates."""
    assert relevance.is_secret(path) is secret
    assert (relevance.candidates([path]) == []) is secret


def test_plans_and_generated_files_are_no_candidates() -> None:
    """They help nobody to plan."""
    paths = ["plans/a/plan.yaml", "package-lock.json", "dist/a.min.js", "a.py"]
    assert relevance.candidates(paths) == ["a.py"]


def test_a_long_list_of_files_is_cut_near_what_is_shown() -> None:
    """Neighbours of the files that are shown stay, and the number of the others is told."""
    paths = [f"a/{n}.py" for n in range(400)] + [f"z/{n}.py" for n in range(50)]
    lines = relevance.listing(paths, ["z/1.py"])
    assert len(lines) == relevance.MOST_LISTED + 1
    assert "z/49.py" in lines
    assert lines[-1] == "… and 150 more files"


PYTEST = "python3 -m pytest -q -p no:cacheprovider"


@pytest.mark.parametrize(
    "files, command",
    [
        ({"tests/test_a.py": "import pytest\n"}, PYTEST),
        ({"tests/test_a.py": "def test_a(): ...\n"}, PYTEST),
        ({"tests/test_a.py": "import unittest", "pyproject.toml": "[tool.pytest]"}, PYTEST),
        (
            {"tests/test_a.py": "import unittest\n", "tests/__init__.py": ""},
            "python3 -m unittest discover -q -s tests -t .",
        ),
        (
            {"tests/test_a.py": "import unittest\n"},
            "python3 -m unittest discover -q -s tests",
        ),
        ({"test_a.py": "import unittest\n"}, "python3 -m unittest discover -q"),
        ({"a_test.py": "import unittest\n"}, "python3 -m unittest discover -q -p '*_test.py'"),
        ({"test_calc.py": "from calc import f\nassert f(1) == 1\n"}, "python3 test_calc.py"),
        ({"package.json": '{"scripts": {"test": "node --test"}}'}, "npm test"),
        ({"package.json": '{"scripts": {"test": "echo no test specified"}}'}, None),
        ({"package.json": "[]"}, None),
        ({"package.json": "{"}, None),
        ({"Cargo.toml": ""}, "cargo test"),
        ({"go.mod": ""}, "go test ./..."),
        ({"Makefile": "all:\ntest: all\n\t./run\n"}, "make test"),
        ({"Makefile": "tested:\n"}, None),
        ({"a.py": ""}, None),
    ],
)
def test_the_projects_tests_are_found(files: dict[str, str], command: str | None) -> None:
    """By what the project's files say, else nothing is made up."""
    assert check_step.command(list(files), files) == command
