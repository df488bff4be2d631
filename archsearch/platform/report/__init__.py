"""The HTML report of a search and its figures. Read `report.py` first."""
