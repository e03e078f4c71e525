"""An MCP server by the official package, for test_agent.py."""

import sys

from mcp.server.fastmcp import FastMCP

server = FastMCP("tests")


@server.tool()
def note(number: int = 7) -> str:
    """Writes a number into the file that the server was started with."""
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    return f"noted {number}"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("on purpose")


server.run()
