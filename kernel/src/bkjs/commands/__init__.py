"""The kernel's own commands: one plugin file each; its first line is what `bkjs help` shows."""
