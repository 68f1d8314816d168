"""Release numbers such as `0.1.2` against ranges such as `>=0.1,<0.2`."""


def satisfies(version: str, versions: str) -> bool:
    """Whether a release such as `0.1.2` is among versions such as `>=0.1,<0.2`."""
    have = _release(version)
    for part in filter(None, (item.strip() for item in versions.split(","))):
        text = part.lstrip("<>=!~ ")
        operator = part[: len(part) - len(text)].strip()
        want = _release(text.removesuffix(".*"))
        size = max(len(have), len(want))
        a, b = have + (0,) * (size - len(have)), want + (0,) * (size - len(want))
        if text.endswith(".*"):
            matches = have[: len(want)] == want
            good = matches if operator == "==" else not matches
        elif operator == "~=":
            good = a >= b and have[: len(want) - 1] == want[:-1]
        else:
            good = {
                ">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b,
                "==": a == b, "===": a == b, "!=": a != b,
            }.get(operator, True)  # fmt: skip
        if not good:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
