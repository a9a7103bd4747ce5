def birth(
    argv: list[str],
    env: dict[str, str],
    moves: list[tuple[int, int]],
    cwd: str,
    umask: int,
    limit: tuple[int, int],
    cgroup: int,
    hold: int,
    /,
) -> tuple[int, int, int]: ...
def take_turns(nanoseconds: int, /) -> bool: ...
