"""Declared parameters as pure functions: the text of a source in, named and typed values out."""
