"""Our own components where Streamlit's widgets do not reach; stored text enters them only as text, never as HTML."""

from pathlib import Path

from opstore import browser


def script(name: str) -> str:
    """Return the module `name` of this folder with all that it imports."""
    return browser.script(Path(__file__).parent / name)
