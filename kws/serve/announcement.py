"""Announces the service on the local network by zeroconf, where Home Assistant finds it by itself."""

from __future__ import annotations

import socket
from typing import Any

from kws.errors import ConfigError, DependencyError
from kws.serve.addresses import ServeAddress

SERVICE_TYPE = "_wyoming._tcp.local."
"""What Home Assistant looks for."""

MULTICAST = ("224.0.0.251", 5353)
"""Where zeroconf speaks; the route to it shows which own address others reach."""


class Announcement:
    """The service under a name, from :meth:`start` to :meth:`stop`.

    Args:
        name: under which it is listed.
        address: where it listens.
        interfaces: own addresses to announce on; None for all.
    Raises:
        ConfigError: nobody else reaches the address.
        DependencyError: zeroconf is not installed.
    """

    def __init__(self, name: str, address: ServeAddress, interfaces: list[str] | None = None) -> None:
        if address.is_local and interfaces is None:
            raise ConfigError(
                f"`zeroconf`: other machines do not reach {address.uri}; "
                'listen for them too: `uri="tcp://0.0.0.0:10400"`'
            )
        try:
            from zeroconf import InterfaceChoice
            from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
        except ImportError as error:
            raise DependencyError('`zeroconf` needs a package: `pip install "kws[serve]"`') from error
        host = own_address() if address.host in ("0.0.0.0", "::") else socket.gethostbyname(address.host)
        full = f"{name.replace('.', '-')[:60]}.{SERVICE_TYPE}"
        self._info = AsyncServiceInfo(
            SERVICE_TYPE, full, addresses=[socket.inet_aton(host)], port=address.port
        )
        self._choice = interfaces or InterfaceChoice.All
        self._zeroconf_class: Any = AsyncZeroconf
        self._zeroconf: Any = None

    async def start(self) -> None:
        """Announce the service; another name is taken where its own is in use."""
        self._zeroconf = self._zeroconf_class(interfaces=self._choice)
        await self._zeroconf.async_register_service(self._info, allow_name_change=True)

    async def stop(self) -> None:
        """Say that the service is gone."""
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()


def own_address() -> str:
    """Return the address of this machine in its local network.

    Raises:
        ConfigError: it is in none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(MULTICAST)  # sends nothing
        except OSError as error:
            raise ConfigError(f"`zeroconf`: this machine is in no network ({error.strerror})") from error
        address: str = probe.getsockname()[0]
        return address
