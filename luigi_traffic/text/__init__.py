"""What is inside the files of a source: their text, its lines, and the lines of some links."""
