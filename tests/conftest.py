"""What all tests share: no test fails for being slow on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("perdure", deadline=None)
settings.load_profile("perdure")
