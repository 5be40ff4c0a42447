"""The `planlock` command: finds the sub-command, runs it, turns errors into exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from runner import __version__
from runner.cli import streams
from runner.core.errors import FileAccessError, PlanlockError

COMMANDS = {
    "init": ("authoring", "Govern this repository: policy, keys, trusted branch."),
    "key": ("authoring", "Make an SSH key."),
    "people": ("authoring", "Say who may approve."),
    "policy": ("governing", "Test the policy's rules, or explain them on a plan."),
    "whoami": ("identity", "Say as whom you would approve here."),
    "plan": ("planning", "Let a model write a plan for a goal."),
    "revise": ("planning", "Let a model change a plan."),
    "new": ("authoring", "Write a commented draft of a plan."),
    "propose": ("authoring", "Fill in base and pins, commit the plan to its branch."),
    "validate": ("checking", "Check plans, policy, approvals and records."),
    "show": ("reading", "Render a plan for review."),
    "diff": ("reading", "Show what changed since your last approval."),
    "schema": ("checking", "Print the JSON Schemas."),
    "review": ("reviewing", "Walk through what waits for you, and sign once."),
    "approve": ("deciding", "Sign an approval of a plan's steps."),
    "reject": ("deciding", "Sign a rejection: the steps are skipped."),
    "withdraw": ("deciding", "Take one's own decisions back."),
    "status": ("reading", "For each step: what is missing, what would fix it."),
    "run": ("running", "Execute the approved steps."),
    "resume": ("running", "Go on with a run."),
    "pause": ("requesting", "Let a run stop before its next step."),
    "cancel": ("requesting", "End a run now."),
    "rollback": ("rolling", "Take back what a run did."),
    "log": ("reading", "Tell the story of a run, from git alone."),
    "replay": ("replaying", "Do a run again in a scratch workspace, and compare."),
    "models": ("modelling", "List language models; carry stored answers elsewhere."),
    "cost": ("books", "Sum up what runs cost."),
    "ledger": ("books", "Rebuild or check the database."),
    "audit": ("books", "Re-check everything, offline."),
    "gc": ("cleaning", "Take away what ended runs leave; never records."),
    "github": ("github", "Check, approve and run plans on pull requests."),
    "router": ("router", "Serve the model router over HTTP."),
    "doctor": ("modelling", "Look whether all that planlock needs is there."),
    "demo": ("demo", "Play the whole story in a throw-away repository."),
}
# Files of the repository are told of where they are read and written, so these are the output's.
UNWRITABLE = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT})
BUG = 70
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports a sub-command's module only when it is called, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"runner.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1) if args else []
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(error.message + hint, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="planlock")
def planlock() -> None:
    """Plans in git, approved by people, executed exactly.

    Data goes to stdout (`--json` for machines), talk and progress to stderr.
    Exit codes: 0 done, 1 invalid or audit finding, 2 wrong usage, 3 not found,
    4 refused or waiting for approval, 5 a step or something outside failed,
    70 a bug, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded(), click.Context(planlock, color=_colors()).scope():
        code = _run(args)  # in the context of errors, which come from outside of a command
    sys.exit(code if isinstance(code, int) else 0)


def _colors() -> bool | None:
    """No colours where the user (no-color.org) or the terminal wants none, else as click finds."""
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if unwanted else None


def _run(args: list[str]) -> object:
    code: object
    try:
        code = planlock.main(
            args=args, prog_name="planlock", standalone_mode=False, color=_colors()
        )
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except PlanlockError as error:
        from runner.cli import options, render

        render.error(error, as_json=options.wants_json(args), one_line=args[:1] == ["run"])
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # click takes an EOFError for a person who leaves a prompt, but nothing here prompts
        code = _bug() if isinstance(error.__cause__, EOFError) else _interrupted()
    except BrokenPipeError:
        streams.drop(sys.stdout.fileno())  # the reader went away, and nothing more can be told
        code = 0
    except OSError as error:
        code = _unwritten(str(error.strerror)) if error.errno in UNWRITABLE else _bug()
    except Exception:  # noqa: BLE001  # the one edge: a bug ends with a report, not a bare trace
        code = _bug()
    return code


def _unwritten(why: str) -> int:
    """The device behind the output takes no more."""
    from runner.cli import render

    streams.drop(sys.stdout.fileno())
    error = FileAccessError(f"writing the output: {why}", hint="df -h")
    render.error(error, as_json=False)
    return error.exit_code


def _interrupted() -> int:
    click.echo("interrupted", err=True)
    return INTERRUPTED


def _bug() -> int:
    import traceback

    click.echo(traceback.format_exc(), err=True)
    click.echo(f"error[bug]: this is a bug in planlock {__version__}; please report it", err=True)
    return BUG
