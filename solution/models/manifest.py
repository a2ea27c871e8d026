"""`weights_manifest.json`: which weight sets exist, where their files are and what their sha256 must be.

In:  a name of the manifest, a folder that brings its own entry (`manifest_entry.json`), or NAME=FOLDER: that entry, those files.
Out: a verified `WeightSet`. Not here: what a folder must hold (`checkpoint`), reading tensors (`load`).
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import WeightsError, read_checkpoint, read_json

PROJECT = Path(__file__).resolve().parents[2]
MANIFEST = PROJECT / "weights_manifest.json"
ENTRY_FILE = "manifest_entry.json"
SAFE = (".safetensors", ".json")
REQUIRED = ("name", "role", "architecture", "parameters", "quantization", "codec", "position_scheme", "licence", "files")


@dataclass(frozen=True)
class WeightSet:
    """One entry of the manifest and the folder that its files are in.

    `entry` is the JSON object itself: name, role, architecture, parameters, quantization, codec, position_scheme,
    licence, source, files (path, size in bytes, sha256), training, scores. `allow_unpinned`: whether files whose sha256 the
    entry does not know are used all the same.
    """

    entry: dict
    folder: Path
    allow_unpinned: bool = False

    @property
    def name(self) -> str:
        return self.entry["name"]

    @property
    def fingerprint(self) -> str:
        """sha256 over the files' own: equal for two sets exactly when all their bytes are."""
        own = (f["sha256"] or sha256_of(self.folder / f["path"]) for f in self.entry["files"])
        return hashlib.sha256("".join(own).encode()).hexdigest()

    def verify(self) -> None:
        """Compare every file's size and sha256 with the entry, then see that they make a whole Llama with what its codec reads.
        Raises `WeightsError` at the first that differs or is missing.

        Tensors in files that the entry does not list are refused too: they would be read unseen.
        """
        listed = {file["path"] for file in self.entry["files"]}
        strangers = sorted({p.name for p in self.folder.glob("*.safetensors")} - listed)
        if strangers:
            raise WeightsError(f"weights {self.name}: {self.folder / strangers[0]} is not in its manifest entry")
        for file in self.entry["files"]:
            path = self.folder / file["path"]
            if not path.is_file():
                raise WeightsError(f"weights {self.name}: {path} is missing")
            if file["sha256"] is None:
                if self.allow_unpinned:
                    continue
                raise WeightsError(
                    f"weights {self.name}: {file['path']} has no sha256 in its entry: python -m solution.weights pin "
                    f"{self.name} {self.folder} writes it, --allow-unpinned does without"
                )
            if path.stat().st_size != file["size"]:
                raise WeightsError(f"weights {self.name}: {path} has {path.stat().st_size} bytes, not {file['size']}")
            if sha256_of(path) != file["sha256"]:
                raise WeightsError(f"weights {self.name}: {path} does not have the sha256 of its manifest entry")
        check_folder(self.folder, self.entry["codec"], f"weights {self.name}: ")
        if "config.json" not in listed:
            raise WeightsError(f"weights {self.name}: config.json is not in its manifest entry")


def check_folder(folder: Path, codec: str, begin: str = "") -> None:
    """See that a folder holds a whole Llama, and the tokenizer of a `codec` that is not our own. Raises `WeightsError`, whose
    message starts with `begin`."""
    try:
        read_checkpoint(folder)
        if codec != "arc16" and not (folder / "tokenizer.json").is_file():
            raise WeightsError(f"{folder}: tokenizer.json is missing: codec {codec} reads its vocabulary there")
    except WeightsError as error:
        raise WeightsError(f"{begin}{error}") from error


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path) -> list[dict]:
    """Path, size and sha256 of every file of a weights folder that may be read, its entry left out, in a fixed order."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in SAFE and p.name != ENTRY_FILE)
    return [{"path": p.name, "size": p.stat().st_size, "sha256": sha256_of(p)} for p in files]


def write_json(value: dict, path: Path) -> None:
    """Write a manifest or an entry whole, in place of what is there: a link is replaced, not the file it leads to."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=2) + "\n")
    aside.replace(path)


def read_manifest(path: Path = MANIFEST) -> list[dict]:
    """The entries of the manifest. Raises `WeightsError` where it is missing or not of its form."""
    entries = read_json(path).get("weights")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise WeightsError(f"{path}: no list of entries under 'weights'")
    return entries


def find_weights(what: str, manifest: Path = MANIFEST) -> WeightSet:
    """The weight set of that name in the manifest, the one whose folder this is, or for NAME=FOLDER the manifest's entry NAME
    with the files of FOLDER; files are not yet verified."""
    entries = {entry.get("name"): entry for entry in read_manifest(manifest)}
    name, equals, elsewhere = what.partition("=")
    folder = Path(elsewhere if equals and name in entries else what)
    if name in entries and (what == name or equals):
        entry = entries[name]
        if not equals and "folder" not in entry:
            raise WeightsError(f"weights {name}: not part of this repository, get them from {entry.get('source')} and give "
                               f"{name}=FOLDER")  # fmt: skip
        return _weight_set(entry, folder if equals else manifest.parent / entry["folder"], manifest)
    if folder.is_file():
        raise WeightsError(f"{folder} is a file: give the folder of safetensors and config.json that it is in or was made from")
    if not folder.is_dir():
        raise WeightsError(f"weights {what!r} are neither in {manifest.name} ({', '.join(entries)}) nor a folder")
    if not (folder / ENTRY_FILE).exists():
        read_checkpoint(folder)  # what it lacks itself comes first
        raise WeightsError(f"{folder} has no {ENTRY_FILE}: python -m solution.weights pin NAME {folder} writes it, NAME one of "
                           f"{', '.join(entries)}")  # fmt: skip
    return read_entry(folder)


def read_entry(folder: Path) -> WeightSet:
    """The weight set of a folder that brings its entry. Raises `WeightsError`."""
    return _weight_set(read_json(folder / ENTRY_FILE), folder, folder / ENTRY_FILE)


def default_weights(device_type: str, manifest: Path = MANIFEST) -> WeightSet:
    """The set that the manifest names as default for "cpu" or "cuda"; the CPU's where no other is listed."""
    for role in (f"default on {device_type}", "default on cpu"):
        for entry in read_manifest(manifest):
            if role in entry.get("role", ""):
                return _weight_set(entry, manifest.parent / entry.get("folder", ""), manifest)
    raise WeightsError(f"{manifest}: no entry has the role 'default on cpu'")


def _weight_set(entry: dict, folder: Path, source: Path) -> WeightSet:
    missing = [key for key in REQUIRED if key not in entry]
    if missing:
        raise WeightsError(f"{source}: entry {entry.get('name')!r} lacks {', '.join(missing)}")
    if not isinstance(entry["files"], list) or not all(isinstance(f, dict) and _is_listed(f) for f in entry["files"]):
        raise WeightsError(f"{source}: entry {entry['name']!r}: 'files' is not a list of path, size and sha256")
    unsafe = [f["path"] for f in entry["files"] if Path(f["path"]).suffix not in SAFE or Path(f["path"]).name != f["path"]]
    if unsafe:
        raise WeightsError(
            f"{source}: entry {entry['name']!r} lists {unsafe[0]}: only .safetensors and .json of the folder itself are loaded"
        )
    return WeightSet(entry, folder)


def _is_listed(file: dict) -> bool:
    """Whether an entry's file has a path, and a size and sha256 unless it is not pinned."""
    if not isinstance(file.get("path"), str) or not isinstance(file.get("size"), int | None) or "sha256" not in file:
        return False
    return file["sha256"] is None or (isinstance(file["sha256"], str) and file.get("size") is not None)
