"""The HTML report of a search, its figures and the drawings of architectures. Read `report.py` first."""
