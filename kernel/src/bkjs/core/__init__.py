"""The microkernel: finds plugins, configures them, runs them and takes them down again."""
