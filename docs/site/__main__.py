"""Build the documents as a site: `make docs`, or `python -m docs.site FOLDER` from the root.

The documents stay as they are read on GitHub. Beside a copy of them stand two pages that are made
here, the gallery and the reference, and Sphinx makes a folder of all of it that is read, and
searched, without a server and without a network.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.gallery import gallery
from docs.site.reference import reference
from docs.site.source import START, write_source
from replication.inputs.files import InputError
from replication.inputs.folders import writing_folder
from replication.inputs.writing import write_atomically

HERE = Path(__file__).parent
# Links and pictures are told from a page's own folder, so pages keep the repository's layout.
OPENING = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Circuit replication</title>
<meta http-equiv="refresh" content="0; url={START}.html">
<p><a href="{START}.html">Documents</a></p>
</html>
"""


def build(folder: Path) -> None:
    """Build the site into a folder, over nothing but an earlier one.

    A warning, such as of a link that leads nowhere, fails the build; what stood there then stays.

    Raises:
        InputError: the folder holds what no earlier build wrote, or an experiment is at fault.
        SystemExit: Sphinx warned, and has said of what.
    """
    with tempfile.TemporaryDirectory() as kept, writing_folder(folder) as new:
        source, trees = Path(kept, "source"), Path(kept, "trees")
        page, pictures = gallery()
        write_source(source, {"gallery": page, "reference": reference()}, pictures)
        options = ["-q", "-W", "--keep-going", "-c", str(HERE), "-d", str(trees)]
        if status := build_main([*options, str(source), str(new)]):
            raise SystemExit(status)
        write_atomically(new / "index.html", OPENING)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except InputError as error:
        sys.exit(f"docs.site: {error}")
    print(f"{sys.argv[1]}: open index.html in it")
