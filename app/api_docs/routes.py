"""`/openapi.json`, and `/docs`: a page to read it and to try each call. Nothing comes from the internet.

Swagger UI's files are those that the package `swagger-ui-py` brings along.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import msgspec
from litestar import Litestar, Response, get

from app.api_docs.document import document
from app.dependencies import AnyRequest
from app.lib.errors import NotFound
from app.lib.parameters import PathId

MEDIA_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Rushcart API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
  <div id="page"></div>
  <script src="/docs/assets/swagger-ui-bundle.js"></script>
  <script>
    SwaggerUIBundle({url: "/openapi.json", dom_id: "#page", deepLinking: true, persistAuthorization: true,
                     defaultModelsExpandDepth: 0, docExpansion: "list"});
  </script>
</body>
</html>
"""


@get("/docs", include_in_schema=False, sync_to_thread=False)
def page() -> Response[str]:
    return Response(PAGE, media_type="text/html")


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi_json(request: AnyRequest) -> Response[bytes]:
    return Response(_encoded(request.app), media_type="application/json")


@get("/docs/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(name: PathId) -> Response[bytes]:
    if name not in MEDIA_TYPES:
        raise NotFound("no such path")
    content = (files("swagger_ui") / "static" / name).read_bytes()
    return Response(content, media_type=MEDIA_TYPES[name], headers={"Cache-Control": "max-age=86400"})


@lru_cache(maxsize=1)  # a process has one application, and its document never changes
def _encoded(app: Litestar) -> bytes:
    return msgspec.json.encode(document(app))


ROUTES = [page, openapi_json, asset]
