"""``python -m gate``."""

import sys

from gate.service import main

sys.exit(main())
