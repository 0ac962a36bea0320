#!/usr/bin/env python3
"""Names the tests that failed, one a line, from the xUnit file that `swift test` wrote: what test.sh runs once more, alone."""

import re
import sys
import xml.etree.ElementTree as ElementTree


def failed(path: str) -> list[str]:
    names = []
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            # As `--filter` reads it: a regular expression over Target.Suite/function; a suite without a function, alone.
            names.append(re.escape(f"{case.get('classname')}/{case.get('name')}"))
    return sorted(set(names))


if __name__ == "__main__":
    print("\n".join(failed(sys.argv[1])))
