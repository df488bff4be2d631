"""The commands of `archsearch` beside those that search: export, train, import, submit, doctor, ui and dry runs, one per file."""
