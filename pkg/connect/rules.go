package connect

import (
	"errors"
	"io"
	"os"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Rules reads a file of rules, the setting access.file. Of one that is too long it reads a byte more
// than is allowed.
func Rules(path string) (*access.Rules, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, limits.AccessFile+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return access.ParseRules(path, content)
}
