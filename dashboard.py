"""The launcher: pages, HTTP routes and the background runner in one process; `streamlit run dashboard.py` starts it.

The main script stands in `opstore/ui/`, not here: beside a folder named `pages/` Streamlit would serve the first deep link after
a start by running that page alone, past the navigation.
"""

import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from opstore import ui
from opstore.api import Answering, Api, brake_logs, end_soon, guard_connections, middleware
from opstore.app import Settings
from opstore.launcher import serving
from opstore.ui import scripts, signin
from opstore.ui.compressed_scripts import CompressedScripts
from opstore.ui.first_screen import First
from opstore.ui.opened_app import running
from opstore.ui.page_opening import PageOpening
from opstore.ui.streamlit_private import server
from opstore.ui.streamlit_private.preload import Early
from opstore.ui.streamlit_private.served import ADDRESSES
from opstore.ui.warm_up import warm


@contextlib.asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Work on jobs from the start of the server to its end, whether or not anybody looks."""
    server.send_at_once()
    origin = None
    for config in server.configs():
        guard_connections(config)
        origin = server.origin(config)
    brake_logs()
    warm()
    opened = running()
    await run_in_threadpool(opened.start)
    try:
        with serving.shown(opened.store.cache, origin):
            yield {}
    finally:
        if origin:  # the process is this server's, and ends with it
            end_soon()
        # A thread of its own: all others may be busy with answers.
        await anyio.to_thread.run_sync(opened.stop, limiter=anyio.CapacityLimiter(1))


SETTINGS = Settings.from_env()
identify = functools.partial(signin.identify, SETTINGS)

app = st.App(
    Path(ui.__file__).with_name("main.py"),
    lifespan=lifespan,
    routes=[*Api(running, identify).routes(), *scripts.routes()],
    middleware=[
        Middleware(Answering),
        *middleware(SETTINGS.share_url, signin.host(), identify, ADDRESSES),
        Middleware(Early),
        Middleware(First),
        Middleware(PageOpening),
        Middleware(CompressedScripts),
    ],
)

if __name__ == "__main__":
    app.run()
