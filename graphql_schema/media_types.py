"""Choose the media type of an answer by what the client accepts."""

from functools import lru_cache

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"

_MAX_HEADERS = 100


@lru_cache(maxsize=_MAX_HEADERS)
def preferred_media_type(accept: str) -> str:
    """Choose by quality, then by the client's order; `application/json` where nothing fits.

    A range that names a type has precedence over one with a `*` (RFC 9110, 12.5.1).
    """
    ranges = [_range(part) for part in accept.split(",")]
    ranked = []
    for media_type in (PLAIN_JSON, RESPONSE_JSON):
        for wanted in (media_type, "application/*", "*/*"):
            found = [(q, place) for place, (name, q) in enumerate(ranges) if name == wanted]
            if found:
                quality, place = found[0]
                if quality > 0:
                    ranked.append((-quality, place, media_type))
                break
    # Both at one place, by `*/*`: min() keeps the first, application/json.
    return min(ranked, key=lambda choice: choice[:2])[2] if ranked else PLAIN_JSON


@lru_cache(maxsize=_MAX_HEADERS)
def media_type_of(header: str) -> str:
    """Give the media type that a Content-Type header names, without its parameters."""
    return header.partition(";")[0].strip().lower()


def _range(part: str) -> tuple[str, float]:
    name, _, parameters = part.partition(";")
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                return name.strip().lower(), float(value)
            except ValueError:
                return name.strip().lower(), 0.0
    return name.strip().lower(), 1.0
