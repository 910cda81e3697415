"""POST /ingest/trades|quotes|bars: an NDJSON body goes to disk, and from there to one batch.

A client that is slow, or goes away, holds a spool and nothing else: no connection to the database
and no writer. Whatever its size, a body takes a piece of memory at a time.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import (
    BadInput,
    DatabaseUnavailable,
    IdempotencyConflict,
    ImportRefused,
    Overloaded,
    QueryTimeout,
    TickgraphError,
)
from app.ingestion.delivery import Delivery, Receipt
from app.ingestion.http_parameters import KINDS, checksum_of, read_delivery
from app.ingestion.intake import Intake
from app.ingestion.ndjson_table import ndjson_of
from app.ingestion.spool import PIECE_BYTES, BodyTooLarge, Decoder, Gunzip, Identity, Spool
from app.storage.faults import RowsTooOld

_LOG = logging.getLogger("tickgraph.ingest")

MEDIA_TYPES = ("application/x-ndjson", "application/jsonl")
PIECE_TIMEOUT_S = 120.0  # for each PIECE_BYTES of a body
_RETRY_AFTER_S = 5


class NotFound(BadInput):
    """There is nothing of this name."""

    code = "NOT_FOUND"


class MethodNotAllowed(BadInput):
    """Records are sent by POST."""

    code = "METHOD_NOT_ALLOWED"


class UnsupportedMediaType(BadInput):
    """The body has a type or an encoding that is not read here."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class UploadTimeout(BadInput):
    """The body comes too slowly."""

    code = "UPLOAD_TIMEOUT"


class SpoolUnavailable(TickgraphError):
    """The server has no room to keep the body; nothing was stored."""

    code = "SPOOL_UNAVAILABLE"


# The first that fits has the word.
_STATUSES: tuple[tuple[type[TickgraphError], int], ...] = (
    (NotFound, 404),
    (MethodNotAllowed, 405),
    (UploadTimeout, 408),
    (IdempotencyConflict, 409),
    (BodyTooLarge, 413),
    (UnsupportedMediaType, 415),
    (BadInput, 400),
    (ImportRefused, 400),
    (Overloaded, 429),
    (SpoolUnavailable, 503),
    (DatabaseUnavailable, 503),
    (RowsTooOld, 503),
    (QueryTimeout, 504),
)


class _ClientGone(Exception):
    """Nobody waits for an answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Bytes of one body, after decompression; bodies at a time; where they wait (None: usual)."""

    max_bytes: int
    max_uploads: int
    folder: Path | None = None


class IngestDoor:
    """The ASGI application of /ingest/{kind}."""

    def __init__(self, intake: Intake, limits: DoorLimits) -> None:
        self._intake = intake
        self._limits = limits
        self.uploads = 0  # bodies that are being read, wait to be stored, or are being stored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: a receipt, or an error in JSON."""
        request = Request(scope, receive)
        try:
            response = _receipt(await self._take(request))
        except _ClientGone:
            return
        except TickgraphError as error:
            response = _refusal(error)
        except Exception as error:  # what nobody expected is answered in the door's shape, too
            response = _failure(error)
        await response(scope, receive, send)

    async def _take(self, request: Request) -> Receipt:
        kind = KINDS.get(request.path_params["kind"])
        if kind is None:
            raise NotFound(f"records are sent to {', '.join(f'/ingest/{name}' for name in KINDS)}")
        if request.method != "POST":
            raise MethodNotAllowed
        decoder = _decoder(request)
        delivery = await asyncio.to_thread(  # a zone or a calendar may be read from disk
            read_delivery,
            kind,
            source=f"http:/ingest/{kind.lower()}",
            actor=f"http:{request.client.host if request.client else 'unknown'}",
            parameters=request.query_params.multi_items(),
            key=request.headers.get("idempotency-key"),
        )
        self._admit(request)
        self.uploads += 1
        try:
            return await self._store(request, decoder, delivery)
        finally:
            self.uploads -= 1

    def _admit(self, request: Request) -> None:
        """Refuse before the body is read what would be refused after.

        Raises:
            BodyTooLarge: it says so itself.
            Overloaded: there are too many others.
        """
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.max_bytes:
            raise BodyTooLarge(f"the body is larger than {self._limits.max_bytes >> 20} MiB")
        if self.uploads >= self._limits.max_uploads:
            raise self._intake.overloaded("as many bodies are on their way as may")
        self._intake.admit()

    async def _store(self, request: Request, decoder: Decoder, delivery: Delivery) -> Receipt:
        try:
            spool = await asyncio.to_thread(Spool, self._limits.folder, self._limits.max_bytes)
        except OSError as error:
            raise _no_room(error) from error
        try:
            await _fill(spool, request, decoder, self._limits.max_bytes)
            if not spool.size:
                raise ImportRefused("the body is empty")
        except BaseException:
            spool.close()
            raise
        if delivery.idempotency_key is not None:
            delivery = replace(delivery, checksum=checksum_of(delivery, spool.checksum))
        opening = partial(ndjson_of, spool.opened, spool.checksum)
        return await self._intake.deliver(opening, delivery, admitted=True, after=spool.close)


def _decoder(request: Request) -> Decoder:
    """Give what undoes the body's encoding.

    Raises:
        UnsupportedMediaType: type, charset or encoding are not what is read here.
    """
    media_type, *parameters = request.headers.get("content-type", "").lower().split(";")
    words = {word.strip().replace('"', "") for word in parameters} - {""}
    if media_type.strip() not in MEDIA_TYPES or not words <= {"charset=utf-8"}:
        raise UnsupportedMediaType(f"the body must be {' or '.join(MEDIA_TYPES)}, in UTF-8")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"gzip", "identity"}:
        raise UnsupportedMediaType(f"the content encoding {encoding!r} is not read here: gzip is")
    return Gunzip() if encoding == "gzip" else Identity()


async def _fill(spool: Spool, request: Request, decoder: Decoder, max_bytes: int) -> None:
    """Bring a request's body to disk.

    Raises:
        TickgraphError: it is too large or broken, comes too slowly, or cannot be kept.
        _ClientGone: the client went away.
    """

    def write(data: bytes) -> None:
        for piece in decoder.feed(data):
            spool.write(piece)

    received = 0
    more = True
    while more:
        taken = bytearray()
        try:
            async with asyncio.timeout(PIECE_TIMEOUT_S):
                while more and len(taken) < PIECE_BYTES:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    taken += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise UploadTimeout(
                f"{PIECE_TIMEOUT_S:.0f} seconds brought less than {PIECE_BYTES} bytes of the body"
            ) from None
        received += len(taken)
        if received > max_bytes:  # also a body that decompresses to nothing comes to an end
            raise BodyTooLarge(f"the body is larger than {max_bytes >> 20} MiB")
        try:
            await asyncio.to_thread(write, bytes(taken))
        except OSError as error:
            raise _no_room(error) from error
    decoder.finish()


def _no_room(error: OSError) -> SpoolUnavailable:
    _LOG.error("a body cannot be kept: %s", error)
    return SpoolUnavailable()


def _receipt(receipt: Receipt) -> Response:
    headers = {"Idempotent-Replayed": "true"} if receipt.repeated else {}
    return _json(200, receipt.as_json(), headers)


def _refusal(error: TickgraphError) -> Response:
    """Say what the client can do something about; hide what it cannot."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
    if status is None:
        return _failure(error)
    words = error.message
    headers: dict[str, str] = {}
    if isinstance(error, DatabaseUnavailable):
        _LOG.warning("nothing stored: %s", words)
        # Not what its cause said: drivers name hosts and users.
        words = f"{DatabaseUnavailable().message} It is safe to send the same again."
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 503:
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    elif status == 405:
        headers["Allow"] = "POST"
    code = DatabaseUnavailable.code if isinstance(error, DatabaseUnavailable) else error.code
    return _json(status, {"error": {"code": code, "message": words, **error.details}}, headers)


def _failure(error: Exception) -> Response:
    error_id = uuid.uuid4().hex
    _LOG.error("unexpected error %s", error_id, exc_info=error)
    words = "The server failed to store this; the log has more under the error's id."
    return _json(500, {"error": {"code": "INTERNAL", "message": words, "id": error_id}}, {})


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers=dict(headers),
        media_type="application/json",
    )
