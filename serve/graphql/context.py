"""What the fields of one request share: who is asking, and everything that was read so far, each thing once."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
import strawberry
from graphql import DocumentNode
from strawberry.dataloader import DataLoader
from strawberry.extensions import FieldExtension
from strawberry.types import Info as StrawberryInfo

from domain.errors import NotFound, Unauthenticated
from domain.ids import is_uuid
from serve.graphql.derive import Shown
from serve.platform.call import Call
from services.access.scopes import check_noun
from services.accounts.accounts import Accounts
from services.entities import Answered, Sender

Read = Callable[["Context", str], Awaitable[Shown]]
ReadMany = Callable[["Context", Sequence[str]], Awaitable[Sequence[Shown | Exception]]]

_decode = msgspec.json.decode


class Context:
    """Every reading goes through the use-cases of REST, as the actor who is asking."""

    def __init__(self, call: Call, document: DocumentNode) -> None:
        self.call = call
        self.document = document
        self.runtime = call.runtime
        self.actor = call.actor
        self.correlation = call.correlation
        self.sender = Sender(call.actor, call.correlation)
        self.roots: dict[str, str] = {}
        """The operation's root fields, by the names that they have in the answer."""
        self._at_once = asyncio.Semaphore(call.runtime.limits.graphql_reads_at_once_max)
        self._loaders: dict[Any, DataLoader[str, Shown]] = {}

    @property
    def accounts(self) -> Accounts:
        """Raises `NotFound` where this gateway has none."""
        if self.runtime.accounts is None:
            raise NotFound("This gateway has no accounts.")
        return self.runtime.accounts

    def check(self, noun: str, *, public: bool) -> None:
        """Whether whoever is asking may ask for this noun at all. Raises `Unauthenticated`, `Forbidden`."""
        if not (public or self.actor.subject):
            raise Unauthenticated("An access token or an API key is required.", code="token_missing")
        if noun and self.call.verified.scopes is not None:
            check_noun(self.call.verified.scopes, noun)

    def load(self, read: Read, key: str) -> Awaitable[Shown]:
        """What `read` gives for the key, once in a request. Raises what it raised."""
        loader = self._loaders.get(read)
        if loader is None:
            loader = self._loaders[read] = DataLoader(load_fn=self._each(read))
        return loader.load(key)

    def load_of_many(self, read: ReadMany, key: str) -> Awaitable[Shown]:
        """As `load`; what is wanted at the same time is read together."""
        loader = self._loaders.get(read)
        if loader is None:
            loader = self._loaders[read] = DataLoader(load_fn=lambda keys: read(self, keys))
        return loader.load(key)

    def _each(self, read: Read) -> Callable[[list[str]], Awaitable[Sequence[Shown | BaseException]]]:
        async def one(key: str) -> Shown:
            async with self._at_once:
                return await read(self, key)

        async def each(keys: list[str]) -> Sequence[Shown | BaseException]:
            return await asyncio.gather(*map(one, keys), return_exceptions=True)

        return each


Info = StrawberryInfo[Context, None]


class Reads(FieldExtension):
    """Marks a field that asks a use-case: for which noun, as scopes of API keys have it ("": any key may ask), and
    whether anybody may."""

    def __init__(self, noun: str, *, public: bool) -> None:
        self.noun = noun
        self.public = public

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: StrawberryInfo, **kwargs: Any
    ) -> Any:
        if info.path.prev is None:
            info.context.roots[str(info.path.key)] = info.field_name
        info.context.check(self.noun, public=self.public)
        return await next_(source, info, **kwargs)


def reads(noun: str, resolver: Callable[..., Awaitable[Any]], kind: Any, *, public: bool = False) -> Any:
    """A field that asks a use-case, described by its resolver's docstring. It is null when that refuses."""
    return strawberry.field(
        resolver=resolver,
        graphql_type=kind | None,
        description=inspect.getdoc(resolver),
        extensions=[Reads(noun, public=public)],
    )


def elsewhere(name: str, module: str) -> Any:
    """A GraphQL type of another module of this folder, or of further down: types refer to each other in circles."""
    return Annotated[name, strawberry.lazy(f"serve.graphql.{module}")]


def computed(resolver: Callable[..., Any], kind: Any, description: str | None = None) -> Any:
    """A field that is made of its parent alone."""
    return strawberry.field(resolver=resolver, graphql_type=kind, description=description)


def viewed(answered: Answered) -> Shown:
    """The view of an entity."""
    view: Shown = _decode(answered.view)
    return view


def known_id(text: str) -> str:
    """As REST has it in a path. Raises `NotFound` for what is no id."""
    if not is_uuid(text):
        raise NotFound("No such resource.")
    return text.lower()
