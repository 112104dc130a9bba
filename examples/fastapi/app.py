"""A back end that signs its users in, gives them tokens for Tidewire, and publishes what happens."""

import hashlib
import hmac
import os
import secrets
from itertools import count
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from tidewire import AsyncPublisher, TidewireError, mint_token

URL = os.environ.get("TIDEWIRE_URL", "http://127.0.0.1:8080")
SECRET = os.environ.get("TIDEWIRE_SECRET", "development-secret-not-for-production")
TOKEN_TTL_S = 300

publisher = AsyncPublisher(URL, os.environ.get("TIDEWIRE_KEY", "tw_dev"))
app = FastAPI(title="Orders", lifespan=publisher.lifespan)
Publisher = Annotated[AsyncPublisher, Depends(publisher.dependency)]

# Who may sign in. A real back end has a database, and sessions that outlive it.
SALT, COOKIE_KEY = secrets.token_bytes(16), secrets.token_bytes(32)


def digest(password: str) -> bytes:
    return hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1)


PASSWORDS = {"ann": digest("tide"), "bob": digest("moon")}
NOBODY = digest("")


def seal(name: str) -> str:
    return f"{name}.{hmac.digest(COOKIE_KEY, name.encode(), 'sha256').hex()}"


def signed_in(session: Annotated[str, Cookie()] = "") -> str:
    name = session.rpartition(".")[0]
    if not hmac.compare_digest(session.encode(), seal(name).encode()):
        raise HTTPException(401, "sign in first")
    return name


User = Annotated[str, Depends(signed_in)]


class Credentials(BaseModel):
    name: str = Field(max_length=50)
    password: str = Field(max_length=200)


class Order(BaseModel):
    item: str = Field(min_length=1, max_length=100)


@app.post("/login")
def login(credentials: Credentials, response: Response) -> dict[str, str]:
    known = PASSWORDS.get(credentials.name, NOBODY)
    if not hmac.compare_digest(digest(credentials.password), known) or known is NOBODY:
        raise HTTPException(403, "wrong name or password")
    response.set_cookie("session", seal(credentials.name), httponly=True, samesite="strict")
    return {"name": credentials.name}


@app.get("/token")
def token(user: User) -> dict[str, str]:
    """What the page connects to Tidewire with. It asks again for each connection, so a short life is enough."""
    return {"token": mint_token(SECRET, user, ttl=TOKEN_TTL_S), "url": URL}


numbers = count(1)
orders: dict[int, str] = {}


@app.post("/orders")
async def place(order: Order, user: User, tidewire: Publisher) -> dict[str, int]:
    number = next(numbers)
    orders[number] = user
    await tidewire.publish("room:orders", {"number": number, "item": order.item, "by": user}, event="placed")
    return {"number": number}


@app.post("/orders/{number}/ready")
async def ready(number: int, user: User, tidewire: Publisher) -> dict[str, int]:
    if number not in orders:
        raise HTTPException(404, "there is no such order")
    customer = orders.pop(number)
    # The key makes it one notification, however often this is tried.
    await tidewire.notify(customer, {"number": number, "by": user}, event="ready", key=f"ready-{number}-{customer}")
    await tidewire.publish("room:orders", {"number": number}, event="ready")
    return {"number": number}


@app.exception_handler(TidewireError)
async def unpublished(request: Request, error: TidewireError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503 if error.passing else 500)


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))
