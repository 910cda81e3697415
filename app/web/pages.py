"""Serve the built pages: GraphiQL for browsers, and its assets."""

from importlib.resources import files
from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Monaco sets inline styles; nothing else needs an exception, and nothing comes from outside.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self';"
    " img-src 'self' data:; font-src 'self'; style-src 'self' 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PROTECTED = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Assets(StaticFiles):
    """Files whose names change with their content: kept by browsers for a year."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file and how long it holds."""
        response = await super().get_response(path, scope)
        response.headers.update(_PROTECTED)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def assets() -> Assets:
    """Serve GraphiQL's scripts and styles."""
    return Assets(directory=_folder() / "assets")


def graphiql_page() -> Response:
    """Answer with the GraphiQL page itself."""
    headers = _PROTECTED | {"Cache-Control": "no-cache"}
    return FileResponse(_folder() / "index.html", headers=headers)


def wants_page(accept: str) -> bool:
    """Tell whether a GET comes from a browser that opens the address."""
    return "text/html" in accept.lower()


def _folder() -> Path:
    return Path(str(files("app.web"))) / "graphiql"
