"""What Streamlit serves: its page, with what stands in it, and what it answers by address alone."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

#: The files of its front end; `index.html` is the page.
FRONT_END = Path(st.__file__).parent / "static"
#: What the page begins with: it says English until its script has run. Every language here has two letters, so it stays as long.
LANGUAGE = b'<html lang="en">'
#: Behind it the page names its style sheet, for which every script after it would wait.
TITLE = b"</title>"
STYLE = re.compile(r"""<link rel="stylesheet" crossorigin href="\./(static/css/[\w.-]+)">""")
#: Where its server is: without it, a page whose address has more than a name asks below that address first.
SERVER = b"<script>window.__streamlit = { BACKEND_BASE_URL: location.origin };</script>"
#: A script that every page begins with.
SCRIPT = re.compile(r"static/js/([\w.-]+\.js)")
#: Where scripts and styles lie whose names tell their content.
LASTING = ("/static/js/", "/static/css/")
#: What is given to whoever knows the address: uploads, prepared files, figures.
ADDRESSES = ("/media/", "/_stcore/upload_file/", "/_stcore/metrics")
