"""Slugs: the readable part at the end of an address."""

import re
import unicodedata
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

TRACKING = ("utm_source", "utm_medium", "utm_campaign")


def plain(text):
    """Replace letters with accents by those without: é becomes e."""
    decomposed = unicodedata.normalize("NFKD", text)
    return decomposed.encode("ascii", "ignore").decode("ascii")


def slugify(title):
    """Make a slug of a title: small letters, digits and hyphens."""
    text = plain(title).lower()
    text = re.sub(r"[^a-z0-9\s-]", "", text)
    return re.sub(r"\s", "-", text.strip())


def unique_slug(title, taken):
    """Make a slug that is not among those taken, with a number at its end if need be."""
    slug = slugify(title)
    candidate, number = slug, 2
    while candidate in taken:
        candidate = f"{slug}-{number}"
        number += 1
    return candidate


def strip_tracking(url):
    """Remove the parameters of an address that only serve tracking."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in TRACKING]
    return urlunsplit(parts._replace(query=urlencode(query)))
