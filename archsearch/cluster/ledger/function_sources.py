"""Sources of functions that score candidates or build networks, kept beside the ledger, so that a changed one is noticed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import pyarrow as pa

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.storage import write_atomically
from archsearch.errors import LedgerError, first_line
from archsearch.evaluators.evaluator import Evaluator

# Readers of Parquet datasets skip names that begin with an underscore, so the ledger's folder stays readable as one.
_FOLDER = "_functions"


def note_source(ledger: Ledger, evaluator: Evaluator) -> bool:
    """Note the source of a function; return whether it had another one when candidates were scored with the same settings before.

    Args:
        ledger: The ledger of the search.
        evaluator: The evaluator; one whose settings have neither `source` nor `modules`, what builds the modules of a space, is
            not noted.

    Raises:
        LedgerError: The note cannot be read or written.
    """
    settings = dict(evaluator.settings())
    source = "-".join(found for name in ("source", "modules") if isinstance(found := settings.pop(name, None), str))
    if not source:
        return False
    name = hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
    folder = f"{ledger.folder.rpartition('/')[0]}/{_FOLDER}"
    path, before = f"{folder}/{name}.txt", ""
    try:
        with suppress(FileNotFoundError), ledger.files.open_input_file(path) as file:
            before = file.read().decode().strip()
        if before != source:
            ledger.files.create_dir(folder, recursive=True)
            write_atomically(ledger.files, path, source.encode(), durable=False)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise LedgerError(f"storage: cannot read or write {path} ({first_line(error)}); mend that.") from error
    return before not in ("", source)
