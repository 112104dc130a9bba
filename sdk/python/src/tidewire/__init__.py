"""Client and server-side publisher of the Tidewire real-time server (docs/protocol.md).

`Tidewire` follows channels over a WebSocket, in asyncio; `Publisher` and `AsyncPublisher` are what a back end publishes
with over HTTP; `mint_token` signs what its users connect with."""

from .agent import AgentRun, AgentState
from .api import ChannelInfo, ChannelPage, ChannelSnapshot, Publication, Revoked, UserConnection, UserInfo
from .channel import Change, Channel, ChannelState, Gap, Snapshot, Subscribed, Unsubscribed
from .client import Broadcast, Tidewire
from .connection import ConnectionState, TokenSource
from .cursor import Position
from .document import Document, EditOptions
from .emitter import Events
from .errors import (
    AuthenticationError,
    ClosedError,
    ConflictError,
    ConnectionFailedError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    RefusedError,
    TidewireError,
    UnavailableError,
)
from .inbox import Inbox
from .presence import Presence, PresenceChange
from .protocol import HistoryPage, Member, Message, Priority, Published, Sender, Session, User, UserId
from .publisher import AsyncPublisher, Publisher
from .session import SessionChannel, SessionMember
from .tokens import DEVELOPMENT_SECRET, Grant, mint_token
from .transport import Ending, Socket, Transport, TransportEvents, TransportRequest, WebSocketTransport
from .upload import Upload, UploadState

__all__ = [
    "DEVELOPMENT_SECRET",
    "AgentRun",
    "AgentState",
    "AsyncPublisher",
    "AuthenticationError",
    "Broadcast",
    "Change",
    "Channel",
    "ChannelInfo",
    "ChannelPage",
    "ChannelSnapshot",
    "ChannelState",
    "ClosedError",
    "ConflictError",
    "ConnectionFailedError",
    "ConnectionState",
    "Document",
    "EditOptions",
    "Ending",
    "Events",
    "ForbiddenError",
    "Gap",
    "Grant",
    "HistoryPage",
    "Inbox",
    "LimitError",
    "Member",
    "Message",
    "NotFoundError",
    "Position",
    "Presence",
    "PresenceChange",
    "Priority",
    "Publication",
    "Published",
    "Publisher",
    "RefusedError",
    "Revoked",
    "Sender",
    "Session",
    "SessionChannel",
    "SessionMember",
    "Snapshot",
    "Socket",
    "Subscribed",
    "Tidewire",
    "TidewireError",
    "TokenSource",
    "Transport",
    "TransportEvents",
    "TransportRequest",
    "UnavailableError",
    "Unsubscribed",
    "Upload",
    "UploadState",
    "User",
    "UserConnection",
    "UserId",
    "UserInfo",
    "WebSocketTransport",
    "mint_token",
]
