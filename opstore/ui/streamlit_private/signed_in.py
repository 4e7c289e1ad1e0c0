"""Streamlit's own sign-in: its settings, and its cookie as a request brings it to what is no page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamlit.auth_util import get_cookie_with_chunks, get_origin_from_redirect_uri, get_secrets_auth_section
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME


def settings() -> Mapping[str, Any]:
    """Return the part `[auth]` of the secrets, empty where it is missing or cannot be read."""
    found: Mapping[str, Any] = get_secrets_auth_section()
    return found


def origin() -> str | None:
    """Return where people sign in, None where nothing says so."""
    return get_origin_from_redirect_uri()


def claims(cookies: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what Streamlit's own cookie says, None unless its signature is right and it is young enough."""
    secret = get_cookie_secret()

    def single(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1", "replace")) if value else None

    try:
        found = json.loads(get_cookie_with_chunks(single, USER_COOKIE_NAME) or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
