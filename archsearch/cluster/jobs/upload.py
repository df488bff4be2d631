"""The files that a job sends to the cluster: the package and the settings of the search, but no results, environments or data."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import archsearch
from archsearch.errors import ConfigurationError

# Bytes. The package has a few megabytes; Ray's limit is 512 MB, and its error does not name the largest files.
LIMIT = 50_000_000
_MB = 1e6
_LEFT_OUT = {"__pycache__", "runs", "mlruns", "mlartifacts", "build", "dist", "venv"}
_LEFT_OUT_ENDINGS = (".pyc", ".pyo", ".log", ".db", ".db-wal", ".db-shm", ".db-journal", ".tmp")
_SHOWN = 3


@dataclass(frozen=True)
class Upload:
    """Files that are sent to the cluster.

    Args:
        package: Files of the package by their names in the upload, such as `archsearch/errors.py`.
        texts: Small text files for the job's working directory, content by name.
        files: Further files for the job's working directory, by their names there.
    """

    package: Mapping[str, Path]
    texts: Mapping[str, str]
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes in bytes by name."""
        package = {name: path.stat().st_size for name, path in {**self.package, **self.files}.items()}
        return package | {name: len(text.encode()) for name, text in self.texts.items()}

    def check(self, limit: int = LIMIT) -> None:
        """Raise ConfigurationError if the files are too large; the message names the largest ones.

        Args:
            limit: Largest total size, in bytes.
        """
        sizes = self.sizes
        total = sum(sizes.values())
        if total > limit:
            largest = sorted(sizes, key=lambda name: -sizes[name])[:_SHOWN]
            named = ", ".join(f"{name} ({sizes[name] / _MB:.1f} MB)" for name in largest)
            raise ConfigurationError(
                f"upload: expected at most {limit / _MB:.0f} MB; got {total / _MB:.1f} MB in {len(sizes)} files, the largest "
                f"being {named}. Move data to storage that the nodes share."
            )

    def listing(self) -> str:
        """Return a listing for the user: a line for the package and one for each small file."""
        sizes = self.sizes
        of_package = sum(sizes[name] for name in self.package)
        lines = [f"  archsearch/ {archsearch.__version__}: {len(self.package)} files, {of_package / _MB:.1f} MB"]
        lines += [f"  {name}: {sizes[name]} bytes" for name in [*self.texts, *self.files]]
        return "\n".join(lines)

    def stage(self, folder: Path) -> tuple[Path, Path]:
        """Copy the files to a folder, so that exactly the listed files are sent.

        Returns:
            The copy of the package, and the job's working directory.
        """
        package, working = folder / "archsearch", folder / "job"
        for name, path in self.package.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        working.mkdir(parents=True)
        for name, text in self.texts.items():
            (working / name).parent.mkdir(parents=True, exist_ok=True)
            (working / name).write_text(text, encoding="utf-8")
        for name, path in self.files.items():
            (working / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, working / name)
        return package, working


def package_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the files of the installed package (a checkout or a wheel) by their names in an upload.

    Args:
        folder: Folder of the package; None is the running one.
    """
    folder = folder or Path(archsearch.__file__).parent
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {f"archsearch/{path.relative_to(folder).as_posix()}": path for path in paths if _is_sent(path.relative_to(folder))}


def module_texts(module: str) -> dict[str, str]:
    """Return the source of a module of the user, or of the package that contains it, by the names of the files.

    Modules outside the current folder are left out: they are installed, here and on the cluster.

    Args:
        module: Dotted name of the module, which has been imported.
    """
    top = sys.modules[module.partition(".")[0]]
    origin = getattr(top, "__file__", None)
    if origin is None or not Path(origin).resolve().is_relative_to(Path.cwd()) or "site-packages" in Path(origin).parts:
        return {}
    path = Path(origin).resolve()
    if path.name != "__init__.py":
        return {path.name: path.read_text(encoding="utf-8")}
    files = sorted(each for each in path.parent.rglob("*.py") if _is_sent(each.relative_to(path.parent)))
    return {each.relative_to(path.parent.parent).as_posix(): each.read_text(encoding="utf-8") for each in files}


def _is_sent(path: Path) -> bool:
    hidden = any(part.startswith(".") or part in _LEFT_OUT for part in path.parts)
    return not hidden and not path.name.endswith(_LEFT_OUT_ENDINGS)
