"""Our own components where Streamlit's widgets do not reach; stored text enters them only as text, never as HTML."""
