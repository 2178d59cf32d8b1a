"""The lake: an object store, and the manifests whose creation commits a partition."""
