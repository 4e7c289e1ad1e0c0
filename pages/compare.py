"""Compare: a result beside what it was made from, or any two to four results beside each other; every comparison is a link."""

from opstore.ui import compare
from opstore.ui.opened_app import opened

asked = compare.view()
service = opened().service

if asked.ids:
    compare.show_comparison(service, asked)
else:
    compare.choose(service)
