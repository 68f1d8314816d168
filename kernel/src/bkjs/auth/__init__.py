"""Who calls, and what that account may do: signatures, sessions, passwords, access rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkjs.core.services import AppKey

if TYPE_CHECKING:
    from .service import AuthService

__all__ = ["AUTH"]

AUTH: AppKey[AuthService] = AppKey("auth", "it is there from configure_module on")
"""Where an application has its service: `app[AUTH]`, for those who know `App` `app.auth`."""
