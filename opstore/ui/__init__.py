"""What the pages share: state, words, parts and components; the only package that imports streamlit at load."""
