"""Which paths a step may name, decided on the name alone; the file system is asked elsewhere."""

from __future__ import annotations

import re
import unicodedata

from runner.core.errors import WorkspaceSecurityError

_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4096

# Unicode's default-ignorable code points that are not of category Cf; file systems drop them.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9])[ ]*(\..*)?")
# The hashed 8.3 names that NTFS gives when the plain ones are taken (CODEOWNERS in capitals).
_HASHED_SHORT_NAMES = {
    ".git": "gi2837",
    ".gitmodules": "gi7eba",
    ".gitattributes": "gi7d29",
    ".github": "gi41c4",
    "workflows": "woa869",
    "codeowners": "co453e",
}
_SHORT_NAME = re.compile(r"([^~]+)~[0-9]+")
# Some file systems fold letters without a dot, or with one too many, to the plain one.
_DOTTED = "i\u0307"
# What would fix a refusal, by its `reason_code`.
_PLAIN_PATH = "git ls-files: write the path as it stands there, relative to the repository"
HINTS = {
    **dict.fromkeys(("empty", "absolute", "empty_component", "separator", "parent"), _PLAIN_PATH),
    **dict.fromkeys(("encoding", "nul", "control_character", "dot"), "name the file in plain text"),
    "too_long": "name a shorter path",
    "git_dir": "git config, git hooks, …: a person changes what is in .git, not a step",
    "device_name": "git mv: give the file a name that Windows can have too",
    "symlink": "git ls-files -s: name the file itself, which the link stands for",
    "not_regular": "git ls-files -s: name a regular file",
    "hard_link": "cp FILE COPY && mv COPY FILE: gives the name a file of its own",
    "too_large": "read the part that matters with a run_command step",
    "mode": 'mode: "0644", or "0755" for a program',
}
_OWNERS_FOLDERS = ("", ".github", "docs")


def check_path(path: str) -> str:
    """Returns the normal form, relative with `/`; raises WorkspaceSecurityError."""
    _check_text(path)
    for name in path.split("/"):
        _check_name(path, name)
    return path


def is_protected(path: str) -> bool:
    """Whether the path steers the forge or git, so that only a rule naming it may allow it."""
    keys = _keys(path)
    if any(_is(key, ".gitmodules") or _is(key, ".gitattributes") for key in keys):
        return True
    if len(keys) > 1 and _is(keys[0], ".github") and _is(keys[1], "workflows"):
        return True
    folder = keys[0] if len(keys) > 1 else ""
    owners = len(keys) < 3 and _is(keys[-1], "codeowners")
    return owners and any(_is(folder, name) for name in _OWNERS_FOLDERS)


def names_protected(pattern: str) -> bool:
    """Whether a pattern of paths says in its own letters that it is about protected ones."""
    keys = _keys(pattern)
    steers = any(_is(key, ".gitmodules") or _is(key, ".gitattributes") for key in keys)
    return steers or _is(keys[0], ".github") or _is(keys[-1], "codeowners")


def is_authority(path: str) -> bool:
    """Whether the path is `plans` or lies beneath it, in any spelling."""
    return _is(_keys(path)[0], "plans")


def _check_text(path: str) -> None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise _refusal(path, "is not valid Unicode", "encoding") from error
    if not path:
        raise _refusal(path, "is empty", "empty")
    if size > _MAX_PATH_BYTES:
        raise _refusal(path[:64], f"has {size} bytes, over {_MAX_PATH_BYTES}", "too_long")
    if "\0" in path:
        raise _refusal(path, "holds a NUL character", "nul")
    if any(unicodedata.category(character) == "Cc" for character in path):
        raise _refusal(path, "holds a control character", "control_character")
    if path.startswith("/"):
        raise _refusal(path, "is absolute", "absolute")


def _check_name(path: str, name: str) -> None:
    folded = _fold(name)
    key = _key(name)
    if not name:
        raise _refusal(path, "has an empty component", "empty_component")
    if "\\" in folded or "/" in folded:
        raise _refusal(path, "holds a backslash or a look-alike of a separator", "separator")
    if folded == "..":
        raise _refusal(path, "leads out of the workspace", "parent")
    if not key:
        raise _refusal(path, "has a component of dots, spaces or ignored characters", "dot")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise _refusal(path[:64], f"has a name over {_MAX_NAME_BYTES} bytes", "too_long")
    if _is(key, ".git"):
        raise _refusal(path, "reaches into .git", "git_dir")
    if _DEVICE.fullmatch(key):
        raise _refusal(path, "names a device", "device_name")


def _refusal(path: str, reason: str, reason_code: str) -> WorkspaceSecurityError:
    hint = HINTS[reason_code]
    return WorkspaceSecurityError(path, reason, reason_code=reason_code, hint=hint)


def _fold(name: str) -> str:
    """The spelling that the most lenient file system would see: HFS+, APFS, NTFS."""
    wide = unicodedata.normalize("NFKC", name)
    kept = "".join(c for c in wide if unicodedata.category(c) != "Cf")
    folded = _IGNORABLE.sub("", kept).upper().casefold()
    return unicodedata.normalize("NFKC", folded.replace(_DOTTED, "i"))


def _key(name: str) -> str:
    """NTFS ignores a stream's name after a colon, and dots and spaces at the end."""
    return _fold(name).split(":", 1)[0].rstrip(" .")


def _keys(path: str) -> list[str]:
    folded = _fold(path).replace("\\", "/")
    names = [_key(name) for name in folded.split("/")]
    return [name for name in names if name] or [""]


def _is(key: str, name: str) -> bool:
    """Whether a key is the name or one of its 8.3 aliases, cut short where the number is long."""
    if key == name:
        return True
    short = _SHORT_NAME.fullmatch(key)
    if short is None:
        return False
    stems = (name.lstrip(".")[:6], _HASHED_SHORT_NAMES.get(name, ""))
    return short[1] in stems or (len(key) == 8 and any(stem.startswith(short[1]) for stem in stems))
