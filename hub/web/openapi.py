"""`python -m hub.web.openapi` prints the OpenAPI document; no server, no store needed."""

from __future__ import annotations

import json
import sys

from hub.web.application import build, describe


def main() -> None:
    """Prints the document as JSON with sorted keys, so that it can be compared."""
    json.dump(describe(build()), sys.stdout, ensure_ascii=False, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
