"""`python -m bkjs` is the `bkjs` command."""

import sys

from bkjs.cli import main

sys.exit(main())
