from ..harness import auth as auth
from ..harness import serve as serve
from ..harness import site as site
