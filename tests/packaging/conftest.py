from tests.clean import clean, wheels

__all__ = ["clean", "wheels"]
