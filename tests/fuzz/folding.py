"""How file systems take one name for another, told without the rules of `runner.core.paths`.

NTFS ignores case, what follows a colon, and dots and blanks at the end, and gives short names;
git's own table of hashed short names applies. HFS+ ignores case and 16 characters; APFS ignores
case and composition; ext4 with case folding ignores every ignorable character.
"""

from __future__ import annotations

import re
import unicodedata

_HFS_DROPS = {
    *range(0x200C, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x206A, 0x2070),
    0xFEFF,
}
_EXT4_DROPS = _HFS_DROPS | {
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x3164, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
}
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789\u00b9\u00b2\u00b3"
}
# As git's is_ntfs_dot_generic has them: six letters, or fewer before a longer number.
_HASHED = {".gitmodules": "gi7eba", ".gitattributes": "gi7d29"}


def same_name(spelled: str, name: str) -> bool:
    """Whether some file system takes `spelled` for the ASCII name `name`."""
    folded = {_hfs(spelled), _apfs(spelled), _ext4(spelled)}
    upper = _ntfs(spelled)
    is_short = name.startswith(".") and _is_short(upper, name)
    return is_short or upper == name.upper() or name.lower() in folded


def is_device(name: str) -> bool:
    """Whether Windows opens a device of that name in every folder."""
    return _ntfs(name).split(".", 1)[0].rstrip(" ") in _DEVICES


def is_protected(path: str) -> bool:
    """Whether a file system takes the path for one that steers git or the forge."""
    names = path.split("/")
    if any(same_name(each, it) for each in names for it in (".gitmodules", ".gitattributes")):
        return True
    if len(names) > 1 and same_name(names[0], ".github") and same_name(names[1], "workflows"):
        return True
    folder = names[0] if len(names) == 2 else "docs"
    return (
        len(names) < 3
        and same_name(names[-1], "CODEOWNERS")
        and (same_name(folder, ".github") or same_name(folder, "docs"))
    )


def _is_short(upper: str, name: str) -> bool:
    stem = name.lstrip(".").upper()[:6]
    if re.fullmatch(rf"{re.escape(stem)}~[0-9]+", upper):
        return True
    head, tilde, number = upper.partition("~")
    hashed = _HASHED.get(name, "").upper()
    is_number = re.fullmatch(r"[1-9][0-9]*", number) is not None
    fits = len(upper) == 8 and hashed.startswith(head)
    return bool(hashed and tilde and is_number and fits)


def _ntfs(name: str) -> str:
    return "".join(map(_upper, name.split(":", 1)[0].rstrip(" .")))


def _upper(character: str) -> str:
    """NTFS's table maps one character to one, and none beyond ASCII into it."""
    upper = character.upper()
    return upper if len(upper) == 1 and upper.isascii() == character.isascii() else character


def _hfs(name: str) -> str:
    return _apfs("".join(each for each in name if ord(each) not in _HFS_DROPS))


def _ext4(name: str) -> str:
    return _apfs("".join(each for each in name if ord(each) not in _EXT4_DROPS))


def _apfs(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
