"""`python -m jifang`."""

from jifang.cli import app

app()
