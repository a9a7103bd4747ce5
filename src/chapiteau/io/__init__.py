"""Small shared pieces of I/O: clocks, files, TOML with line numbers, unix sockets."""
