"""A small OpenID Connect provider on loopback: discovery, sign-in page, code with PKCE and nonce, signed tokens, sign-out.

It checks what a provider must (client, redirect address, code used once, verifier), and can give tokens with one fault.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.ports import free_port

CLIENT, SECRET = "opstore-test", "the secret of the client"
Fault = Literal["", "nonce", "expired", "issuer", "key", "unsigned", "audience"]


@dataclass
class Provider:
    """The provider: `people` are the claims of who can sign in, by the name on the button; `fault` is what the next token has."""

    people: Mapping[str, Mapping[str, Any]]
    port: int = field(default_factory=free_port)
    redirect_uri: str = ""
    fault: Fault = ""
    signed_out: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}))
    _foreign: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def discovery(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        """Answer on loopback until the end."""
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", lambda request: JSONResponse({"keys": [self._key.as_dict(private=False)]})),
                Route("/sign-out", self._sign_out),
            ]
        )
        server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the provider did not start"
            time.sleep(0.01)
        yield self
        server.should_exit = True
        thread.join(10)

    def _discovery(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/sign-out",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        sound = (asked["client_id"], asked["redirect_uri"], asked["response_type"]) == (CLIENT, self.redirect_uri, "code")
        assert sound and asked["code_challenge_method"] == "S256" and asked["nonce"] and asked["state"], asked
        who = asked.pop("who", None)
        if who is None:  # the sign-in page
            links = (f'<p><a href="?{html.escape(urlencode({**asked, "who": name}))}">{name}</a></p>' for name in self.people)
            return HTMLResponse(f"<h1>Who are you?</h1>{''.join(links)}")
        code = secrets.token_urlsafe()
        self._codes[code] = {"who": who, "nonce": asked["nonce"], "challenge": asked["code_challenge"]}
        return RedirectResponse(f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        known = self._codes.pop(str(form["code"]), None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=").decode()
        given = base64.b64decode(request.headers["authorization"].partition(" ")[2]).decode()
        if known is None or proof != known["challenge"] or given.partition(":")[0] != CLIENT:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = self._identity(known["who"], known["nonce"])
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _identity(self, who: str, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT, "sub": who, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= self.people[who]
        faults: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "issuer": {"iss": "https://accounts.example.org"},
            "audience": {"aud": "another program"},
        }
        claims |= faults.get(self.fault, {})
        if self.fault == "unsigned":
            parts = ({"alg": "none", "typ": "JWT"}, claims)
            return (
                ".".join(base64.urlsafe_b64encode(repr(part).replace("'", '"').encode()).rstrip(b"=").decode() for part in parts)
                + "."
            )
        key = self._foreign if self.fault == "key" else self._key
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)

    def _sign_out(self, request: Request) -> Response:
        assert request.query_params["client_id"] == CLIENT and request.query_params["id_token_hint"]
        self.signed_out += 1
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 302)
