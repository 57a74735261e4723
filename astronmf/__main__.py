"""``astronmf`` and ``python -m astronmf``."""

from __future__ import annotations

from astronmf.cli import main

if __name__ == "__main__":
    main()
