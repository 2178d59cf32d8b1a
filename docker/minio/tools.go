//go:build tools

package build

import _ "github.com/minio/minio"
