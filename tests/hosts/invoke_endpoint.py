"""A host of functions behind a real Invoke endpoint on loopback."""

from cordboard.edge.control.http import HttpServer, bind_tcp
from cordboard.hosts.host import FunctionHost
from cordboard.hosts.invoke_api import InvokeApi


class Endpoint:
    """Serves `host`, which it starts and closes."""

    def __init__(self, host: FunctionHost) -> None:
        self.host = host
        self.api = InvokeApi(host, timeout=5.0)
        self._listener = bind_tcp("127.0.0.1", 0)
        self._server = HttpServer(self.api.app, self._listener)

    async def start(self) -> str:
        """Its address."""
        await self.host.start()
        await self._server.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def close(self) -> None:
        await self._server.close()
        self.api.close()
        await self.host.close()
