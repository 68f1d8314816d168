"""Who calls, and what that account may do: signatures, sessions, passwords, access rules."""
