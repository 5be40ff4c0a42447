"""What planlock takes for a signature, against real `ssh-keygen -Y verify`."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from signature_cases import ACCIDENTAL, STRICTER, cases
from signature_drafts import ADA, NOW, Case
from ssh_keys import signature_of, soft_key

from runner.core.errors import InvalidDocument
from runner.git import signers, sshsig
from runner.git.sshsig import BadSignature

# more than the usual number of cases takes longer, but tries what no run has tried before
CASES: Final = int(os.environ.get("DIFFERENTIAL_CASES", "2000"))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    case: Case
    principal: str | None
    reason: str
    taken_by_ssh_keygen: bool


def ours(case: Case) -> tuple[str | None, str]:
    """Whose signature it is, or why it is nobody's."""
    try:
        signed = sshsig.verify(case.signature, case.message, namespace=case.namespace)
        allowed = signers.parse(case.allowed.encode(), file="allowed")
    except BadSignature as error:
        return None, error.reason
    except InvalidDocument as error:
        return None, error.message
    verdict = allowed.find(signed, namespace=case.namespace, at=case.at)
    return verdict.principal, verdict.reason


def theirs(case: Case, principal: str, folder: Path) -> bool:
    """Whether ssh-keygen takes the signature for that principal's."""
    allowed, signature = folder / "allowed", folder / "signature"
    folder.mkdir()
    allowed.write_text(case.allowed)
    signature.write_bytes(case.signature)
    argv = ["ssh-keygen", "-Y", "verify", "-n", case.namespace, "-I", principal]
    argv += ["-f", str(allowed), "-s", str(signature)]
    argv.append(f"-Overify-time={case.at:%Y%m%d%H%M%S}Z")
    done = subprocess.run(argv, input=case.message, capture_output=True, check=False)
    return done.returncode == 0


def judged(folder: Path) -> Iterator[Outcome]:
    def judge(numbered: tuple[int, Case]) -> Outcome:
        number, case = numbered
        principal, reason = ours(case)
        taken = theirs(case, principal or case.principal, folder / str(number))
        return Outcome(case=case, principal=principal, reason=reason, taken_by_ssh_keygen=taken)

    with ThreadPoolExecutor(2) as threads:
        yield from threads.map(judge, enumerate(cases(CASES)))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return list(judged(tmp_path_factory.mktemp("differential")))


def stricter(outcome: Outcome) -> list[str]:
    """Which entries of the table tell why planlock refuses what ssh-keygen takes."""
    return [
        words
        for words, kinds in STRICTER.items()
        if words in outcome.reason and outcome.case.kind in {*kinds, *ACCIDENTAL.get(words, ())}
    ]


def test_A23_whatever_we_accept_ssh_keygen_accepts(outcomes: list[Outcome]) -> None:
    """There is no signature that counts here and not for ssh-keygen, as the same principal's."""
    assert len(outcomes) == CASES
    assert not [each for each in outcomes if each.principal and not each.taken_by_ssh_keygen]


def test_A23_whatever_ssh_keygen_accepts_we_accept_or_are_known_to_refuse(
    outcomes: list[Outcome],
) -> None:
    """Each signature that counts for ssh-keygen alone is refused for a reason of the table."""
    alone = [each for each in outcomes if each.taken_by_ssh_keygen and not each.principal]
    assert not [each for each in alone if len(stricter(each)) != 1]


def test_each_strictness_occurs(outcomes: list[Outcome]) -> None:
    """No entry of the table is there for nothing."""
    alone = [each for each in outcomes if each.taken_by_ssh_keygen and not each.principal]
    found = {(words, each.case.kind) for each in alone for words in stricter(each)}
    assert found >= {(words, kind) for words, kinds in STRICTER.items() for kind in kinds}


def test_cases_are_neither_all_sound_nor_all_refused(outcomes: list[Outcome]) -> None:
    """Many signatures count for both, many for neither."""
    answers = Counter((each.principal is not None, each.taken_by_ssh_keygen) for each in outcomes)
    assert min(answers[True, True], answers[False, False]) > CASES / 10
    assert all(each.principal for each in outcomes if each.case.kind == "sound")


def random_stamp(source: random.Random) -> str:
    """Return a timestamp within a few days and seconds of NOW, at times a wrong one."""
    seconds = source.choice([-1, 0, 1, 30]) + 86_400 * source.randrange(-1, 2)
    moment = NOW + timedelta(seconds=seconds)
    shape = source.choice(["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S"])
    return moment.strftime(shape) + source.choice(["Z", "Z", "Z", "Z", "", "z", "0Z"])


def random_line(source: random.Random) -> str:
    options = [f'namespaces="{source.choice(["plan", "x"])},git"']
    for name in source.sample(["valid-after", "VALID-BEFORE", "none"], 2):
        options += [f'{name}="{random_stamp(source)}"'] if name != "none" else []
    source.shuffle(options)
    return f"{ADA} {','.join(options)} {soft_key('ssh-ed25519').text}\n"


def test_validity_is_decided_as_ssh_keygen_decides(tmp_path: Path) -> None:
    """For hundreds of lines and times, well or wrongly written, both say the same or we refuse."""
    source = random.Random(7)  # noqa: S311 - a fixed sequence of cases, nothing secret
    key = soft_key("ssh-ed25519")
    signature = signature_of(key.blob, key.sign, b"m", namespace="git")
    answers = Counter[str]()
    for number in range(300):
        at = NOW + timedelta(seconds=source.randrange(-1, 2))
        case = Case(
            kind="line",
            signature=signature,
            message=b"m",
            namespace="git",
            allowed=random_line(source),
            at=at,
        )
        principal, reason = ours(case)
        if "listed" in reason or principal:
            assert theirs(case, ADA, tmp_path / str(number)) is (principal == ADA), case.allowed
        answers["refused" if reason and "listed" not in reason else str(principal)] += 1
    assert min(answers[each] for each in ("refused", "None", ADA)) > 30
