"""From a source's byte streams to a raw partition: download, safe unzip, lines."""
