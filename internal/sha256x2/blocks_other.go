//go:build !amd64

package sha256x2

const fast = false

func blocks1(*state, *byte, int) { panic("no such instructions") }

func blocks2(*state, *byte, *state, *byte, int) { panic("no such instructions") }
