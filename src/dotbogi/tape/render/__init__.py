"""Explanations as text, HTML, LaTeX and JSON."""
