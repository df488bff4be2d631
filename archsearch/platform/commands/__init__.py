"""What `archsearch` does beyond running a search: export, import, submit, doctor, ui. One command a file."""
