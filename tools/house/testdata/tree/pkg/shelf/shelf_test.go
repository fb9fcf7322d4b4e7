package shelf

import "testing"

func TestDust(*testing.T) {
	_ = Dust{}
	_ = Shelf{Clock: func() {}}
	_ = Limit
}
