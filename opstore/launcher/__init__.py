"""Where the launcher, the pages and the server's settings lie: at the top of a checkout; in a wheel, all in this folder."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
#: Whether this was installed from a wheel, which also brings the command `opstore`.
INSTALLED = (_HERE / "dashboard.py").is_file()
TOP = _HERE if INSTALLED else _HERE.parents[1]
DASHBOARD = TOP / "dashboard.py"
PAGES = TOP / "pages"
