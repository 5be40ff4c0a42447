from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def join(base, *parts):
    clean = [part.strip("/") for part in parts]
    return "/".join([base.rstrip("/"), *[part for part in clean if part]])


def domain(url):
    return urlsplit(url).hostname or ""


def add_query(url, **values):
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.update(values)
    return urlunsplit(parts._replace(query=urlencode(query)))
