from ..harness import auth as auth
