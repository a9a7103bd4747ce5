"""`chapiteau run schema` and `chapiteau completion`: what editors and shells want to know."""

import json

import click

__all__ = ["completion", "schema"]


@click.command("schema")
def schema() -> None:
    """JSON Schema of chapiteau.toml, for editors that complete and check TOML.

    \b
    chapiteau run schema > chapiteau.schema.json
    then begin chapiteau.toml with:  #:schema ./chapiteau.schema.json
    """
    from chapiteau.run.logic.written.schema import config_schema

    click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """A script that teaches your shell to complete commands and services.

    \b
    bash:  chapiteau completion bash > ~/.local/share/bash-completion/completions/chapiteau
    zsh:   chapiteau completion zsh > ~/.zfunc/_chapiteau
    fish:  chapiteau completion fish > ~/.config/fish/completions/chapiteau.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(f"click knows no completion for {shell}")
    click.echo(kind(root, {}, "chapiteau", "_CHAPITEAU_COMPLETE").source())
