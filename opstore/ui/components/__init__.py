"""Our own components where Streamlit's widgets do not reach; stored text enters them only as text, never as HTML."""

from pathlib import Path

from opstore import browser

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """Return the module `name` of this folder with all that it imports."""
    return browser.script(_HERE / name)


def style(*names: str) -> str:
    """Return the sheets `names` of this folder as one."""
    return "\n".join((_HERE / name).read_text("utf-8") for name in names)
