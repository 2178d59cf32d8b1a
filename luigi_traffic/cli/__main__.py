"""`python -m luigi_traffic.cli`, if the console script is not on the PATH."""

from luigi_traffic.cli import main

main()
