"""Who may ask the codec server: the holder of a token, who signed in on a page of its own or sends it along.

The Temporal UI cannot be given a token of ours: it passes on the one of its own OpenID provider, or none. But with
`TEMPORAL_CODEC_INCLUDE_CREDENTIALS` it sends the cookies that the browser holds for the codec server, so this sets
one. The `temporal` command sends what `--codec-auth` is given.
"""

from __future__ import annotations

import html
from urllib.parse import parse_qs

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from api import sign_in
from store.database import Database
from store.tables.accounts import Token

COOKIE = "warmpath_codec"
#: Bytes of the form that holds one token.
LARGEST_FORM = 4_096
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Warmpath: payloads in the Temporal UI</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}
input,button{{font:inherit;padding:.4rem;box-sizing:border-box}}input{{width:100%}}</style>
<h1>Payloads in the Temporal UI</h1>{body}"""
_FORM = """<p>{said}</p><form method="post" action="sign-in"><label>Token of Warmpath
<input type="password" name="token" autocomplete="off" autofocus required></label>
<p><button>Sign in</button></p></form>"""
_WELCOME = """<p>Signed in as {name}. This browser's Temporal UI shows what payloads hold.</p>
<form method="post" action="sign-out"><button>Sign out</button></form>"""
_ASKED = "The Temporal UI shows payloads to who signs in here with a token of any role."
_WRONG = "This token is not known or was revoked."


class SignIn:
    """Tokens of the store, as a cookie of the browser or as a bearer."""

    def __init__(self, db: Database, *, secure: bool) -> None:
        """``secure``: the UI is reached by TLS, so this server is too, and the cookie goes nowhere else."""
        self._db = db
        self._secure = secure
        self._failures = sign_in.FailedSignIns()
        self.router = APIRouter()
        self.router.add_api_route("/", self._look, methods=["GET"])
        self.router.add_api_route("/sign-in", self._enter, methods=["POST"])
        self.router.add_api_route("/sign-out", self._leave, methods=["POST"])

    async def refusal(self, request: Request) -> Response | None:
        """The answer to somebody who may not ask; None for who may.

        Raises:
            HTTPException: 429 after too many tokens that nobody has, 503 while the database does not answer.
        """
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        text = sent.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
        if await self._holder(request, text) is not None:
            return None
        said = f"{_WRONG} " if text else ""
        return PlainTextResponse(
            f"{said}Open {request.base_url} in this browser and sign in, or send a token: `Authorization: Bearer ...`.",
            401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _holder(self, request: Request, text: str) -> Token | None:
        if not text:
            return None
        try:
            return await sign_in.find(self._failures, request, self._db, text)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise HTTPException(503, "The database does not answer, so nobody can be recognised.") from error

    async def _look(self, request: Request) -> Response:
        holder = await self._holder(request, request.cookies.get(COOKIE, ""))
        if holder is None:
            return _page(_FORM.format(said=_ASKED))
        return _page(_WELCOME.format(name=html.escape(holder.name)))

    async def _enter(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _page(_FORM.format(said="Sign in on this page itself."), 403)
        form = b""
        async for part in request.stream():
            form += part
            if len(form) > LARGEST_FORM:
                return _page(_FORM.format(said=_WRONG), 413)
        given = parse_qs(form.decode(errors="replace")).get("token", [""])[0].strip()
        if await self._holder(request, given) is None:
            return _page(_FORM.format(said=_WRONG), 401)
        answer = RedirectResponse(".", 303)
        # Strict: the UI is on another port or name of the same site, and nobody else has any business here.
        answer.set_cookie(COOKIE, given, httponly=True, samesite="strict", secure=self._secure)
        return answer

    async def _leave(self) -> Response:
        answer = RedirectResponse(".", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._secure)
        return answer


def _page(body: str, status: int = 200) -> Response:
    said = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "frame-ancestors 'none'",
    }
    return HTMLResponse(_PAGE.format(body=body), status, headers=said)
