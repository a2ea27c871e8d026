"""Weight sets by hand: python -m solution.weights --help

In:  the manifest or a folder of trained weights. Out: a verdict, or a quantized folder with its entry.
"""

import argparse
import sys
from pathlib import Path

from safetensors import SafetensorError

from ..command import Parser, hold_streams, tell_fault
from ..models.checkpoint import read_json
from ..models.manifest import (
    ENTRY_FILE,
    MANIFEST,
    WeightsError,
    check_folder,
    describe_files,
    find_weights,
    read_manifest,
    write_json,
)

EXAMPLE = """examples:
  python -m solution.weights verify
  python -m solution.weights pack runs/s/final solution/weights/arc-llama-s --name arc-llama-s --role "default on cpu" --add
  python -m solution.weights pin architects-3b downloads/Llama-3.2-3B-ARChitects-ReArc-bnb-4bit
  python -m solution.weights pack downloads/marc-8B downloads/marc-8B-nf4 --name marc-8b --codec marc"""


def verify(options: argparse.Namespace) -> None:
    """Check every file of the named sets, or of all, against its sha256, and that they make a whole Llama."""
    for name in options.names or [entry["name"] for entry in read_manifest() if "folder" in entry]:
        weights = find_weights(name)
        weights.verify()
        files = weights.entry["files"]
        print(f"{weights.name}: {len(files)} files, {sum(f['size'] for f in files)} bytes, verified")


def pin(options: argparse.Namespace) -> None:
    """Write the sizes and hashes that a set's files have now into its entry, beside the files where they are elsewhere."""
    weights = find_weights(f"{options.name}={options.folder}" if options.folder else options.name)
    check_folder(weights.folder, weights.entry["codec"], f"weights {weights.name}: ")
    files = describe_files(weights.folder)
    in_manifest = not options.folder and weights.entry in read_manifest()
    store(weights.entry | {"files": files}, weights.folder, in_manifest)
    print(f"{weights.name}: {len(files)} files pinned")


def pack(options: argparse.Namespace) -> None:
    """Quantize a trained folder to NF4, complete it and write its entry."""
    from .pack import check_apart, pack_folder, replace_whole

    details = read_json(Path(options.training)) if options.training else {}
    source, target, entry = Path(options.source), Path(options.target), {}
    check_apart(source, target)
    if options.add:
        check_inside(target)

    def fill(aside: Path) -> None:
        entry.update(pack_folder(source, aside, options.name, options.role, details, options.codec))
        if not options.add:
            write_json(entry, aside / ENTRY_FILE)

    replace_whole(target, fill)
    if options.add:
        store(entry, target, in_manifest=True)
    print(f"{options.name}: {entry['parameters']} parameters, {sum(f['size'] for f in entry['files'])} bytes in {options.target}")


def store(entry: dict, folder: Path, in_manifest: bool) -> None:
    """Write an entry beside its files, or into the manifest, where it replaces the one of the same name."""
    if not in_manifest:
        write_json(entry, folder / ENTRY_FILE)
        return
    check_inside(folder)
    entry = entry | {"folder": str(folder.resolve().relative_to(MANIFEST.parent))}
    entries = [e for e in (read_manifest() if MANIFEST.exists() else []) if e.get("name") != entry["name"]]
    write_json({"weights": [*entries, entry]}, MANIFEST)


def check_inside(folder: Path) -> None:
    """Raises `WeightsError` for a folder that no entry of the manifest can name."""
    if not folder.resolve().is_relative_to(MANIFEST.parent):
        raise WeightsError(f"{folder}: only folders below {MANIFEST.parent} go into the manifest")


def main() -> int:
    hold_streams()
    parser = Parser(
        prog="python -m solution.weights", description="Verify, pin and pack weight sets.", epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="verify|pin|pack")
    one = commands.add_parser("verify", help=verify.__doc__)
    one.add_argument("names", nargs="*", help="names or folders (all of the manifest)")
    one.set_defaults(do=verify)
    one = commands.add_parser("pin", help=pin.__doc__)
    one.add_argument("name", help="name or folder")
    one.add_argument("folder", nargs="?", help="where the named set's files are")
    one.set_defaults(do=pin)
    one = commands.add_parser("pack", help=pack.__doc__)
    one.add_argument("source", help="folder with config.json and dense safetensors")
    one.add_argument("target", help="folder to write")
    one.add_argument("--name", required=True)
    one.add_argument("--role", default="", help="'default on cpu', 'default on cuda' or nothing")
    one.add_argument("--codec", default="arc16", choices=("arc16", "architects", "marc"), help="how it reads tasks (%(default)s)")
    one.add_argument("--training", help="JSON file with the entry's 'training' and 'scores' (and whatever else it should say)")
    one.add_argument("--add", action="store_true", help="into the manifest (else beside the files)")
    one.set_defaults(do=pack)
    try:
        options = parser.parse_args()
        options.do(options)
    except (WeightsError, OSError, ValueError, ImportError, SafetensorError) as error:
        tell_fault("solution.weights", " ".join(str(error).split()))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
