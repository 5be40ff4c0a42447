"""Every error that planlock raises on purpose, with its stable code and exit code.

PlanlockError
├── UsageError                  2   wrong usage
├── InvalidDocument             1   one or more problems in files, each with its place
├── NotFound                    3   a repository, plan, run, key or file is missing
├── Refused                     4   not allowed now: reasons, each with what would fix it
├── OutsideError                5   a step or something outside failed
└── ModelError                      a language model gave no answer; each has its own exit code
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One thing wrong in one file; `line` and `column` count from 1, 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    code: str
    message: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason why something is not allowed now, and what would fix it."""

    code: str
    message: str
    fix: str = ""


class PlanlockError(Exception):
    """Root of all errors; `hint` says how to fix it, as a command where there is one."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PlanlockError):
    code = "usage"
    exit_code = 2


class InvalidDocument(PlanlockError):
    """A file does not say what its format demands; `problems` has all of them."""

    code = "invalid_document"
    exit_code = 1

    def __init__(self, problems: list[Problem], *, hint: str = "") -> None:
        self.problems = problems
        first = problems[0]
        where = f"{first.file}:{first.line}:{first.column}" if first.line else first.file
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{where}: {first.message}{more}", hint=hint or first.fix)


class NotFound(PlanlockError):
    code = "not_found"
    exit_code = 3


class RepositoryNotFound(NotFound):
    code = "no_repository"


class NotGoverned(NotFound):
    """The trusted ref holds no policy."""

    code = "not_governed"


class KeyNotFound(NotFound):
    code = "no_key"


class ToolNotFound(NotFound):
    """A program that planlock needs (git, ssh-keygen) is not installed."""

    code = "tool_not_found"


class Refused(PlanlockError):
    """Not allowed now; an answer with reasons, not a fault."""

    code = "refused"
    exit_code = 4

    def __init__(self, message: str, *, reasons: tuple[Reason, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = reasons


class AuthorityRefused(Refused):
    """The trusted ref cannot be believed: moved backwards, rewritten, shallow."""

    code = "authority_refused"


class RunHeld(Refused):
    """Another runner holds the run."""

    code = "run_held"


class BranchBusy(Refused):
    """A branch is checked out with changes, or moved while we worked."""

    code = "branch_busy"


class OutsideError(PlanlockError):
    code = "outside_failed"
    exit_code = 5


class GitError(OutsideError):
    code = "git_failed"


class RepositoryUnsuitable(OutsideError):
    """The repository lacks something: a commit, an identity, its full history."""

    code = "repository_unsuitable"


class SigningError(OutsideError):
    code = "signing_failed"


class SandboxUnavailable(OutsideError):
    """Confinement was asked for and cannot be given here; never a command's own failure."""

    code = "sandbox_unavailable"


class WorkspaceSecurityError(OutsideError):
    """A path or file that a step may not touch; `reason_code` tells the kind."""

    code = "workspace_security"

    def __init__(self, path: str, reason: str, *, reason_code: str, hint: str = "") -> None:
        super().__init__(f"path {path!r}: {reason}", hint=hint)
        self.path = path
        self.reason = reason
        self.reason_code = reason_code


class StaleInput(OutsideError):
    """A precondition of a step (`replaces`, `reads`, `base`) no longer holds."""

    code = "stale"


class StepFailed(OutsideError):
    """A step could not do what it says; the run stops there."""

    code = "step_failed"


class FileAccessError(OutsideError):
    """The file system refused: disk full, read-only, no permission."""

    code = "file_access"

    def __init__(self, message: str, *, hint: str = "df -h . && ls -ld .") -> None:
        super().__init__(message, hint=hint)

    @classmethod
    def of(cls, doing: str, error: OSError, folder: object) -> Self:
        """What the system refused; the hint shows the room, and who may write there."""
        refused = str(error.filename2 or error.filename or folder)
        hint = f"df -h {folder} && ls -ld {refused.rpartition('/')[0]} {refused}"
        return cls(f"{doing}: {error.strerror}", hint=hint)


class ForgeError(OutsideError):
    """The forge could not be asked, or answered with an error of its own."""

    code = "forge_failed"


class ForgeDenied(ForgeError):
    """The forge does not let this token do it, or hides it; `status` is that of HTTP."""

    code = "forge_denied"
    status: int = 0


class ForgeLimited(ForgeError):
    """The forge wants to be asked later than we wait."""

    code = "forge_limited"


class ForgeUnclear(ForgeError):
    """An answer of the forge cannot be read, or parts of it contradict each other."""

    code = "forge_unclear"


class LedgerError(OutsideError):
    code = "ledger_failed"


class ModelError(PlanlockError):
    """A call to a language model did not give an answer.

    `status` is the HTTP status under which the router tells it, `retryable` whether the same
    request may succeed later without any change, which one error of a class may deny; `attempts`
    are those that were made.
    """

    code = "model_failed"
    exit_code = 5
    status: ClassVar[int] = 502
    retryable: bool = False
    attempts: tuple[Any, ...] = ()


class BadRequest(ModelError):
    code = "bad_request"
    exit_code = 2
    status = 400


class BadSchema(BadRequest):
    """The JSON Schema of a `structure` call is none, or asks for what cannot be checked."""

    code = "bad_schema"


class BudgetExceeded(ModelError):
    code = "budget_exceeded"
    exit_code = 4
    status = 402


class PriceUnknown(ModelError):
    """Nobody knows what the model costs, and a money limit holds."""

    code = "price_unknown"
    exit_code = 4
    status = 402


class ReplayMiss(ModelError):
    """Only stored answers may be given, and there is none."""

    code = "replay_miss"
    exit_code = 3
    status = 409


class ContextTooLong(ModelError):
    code = "context_too_long"
    status = 413


class SchemaViolation(ModelError):
    """No model's answer satisfied the schema, repairs and escalation included."""

    code = "schema_violation"
    status = 422


class RateLimited(ModelError):
    code = "rate_limited"
    status = 429
    retryable = True


class ProviderFailed(ModelError):
    code = "provider_error"
    status = 502
    retryable = True


class NoRoute(ModelError):
    """No model is configured that can serve the call."""

    code = "no_route"
    exit_code = 3
    status = 503


class ModelTimeout(ModelError):
    code = "timeout"
    status = 504
    retryable = True
